"""A user's own model and data beside them, which a test may change between two calls of bmx."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from uuid import uuid4

NET = """
    from torch import nn

    from {layers} import widened


    class Net(nn.Module):
        def __init__(self, num_classes, input_shape, width=8):
            super().__init__()
            self.first = nn.Linear(input_shape[0], widened(width))
            self.head = nn.Linear(widened(width), num_classes)

        def forward(self, x):
            return self.head(self.first(x).relu())
"""
LAYERS = """
    def widened(width):
        return width + 0
"""
DATA = """
    import torch

    from bmx.data.arrays import Arrays, Source
    from bmx.data.tables import iris

    def flowers(shift=None):
        source = iris()
        change = torch.load({file!r})
        train = Arrays(source.train.inputs + change["train"], source.train.targets)
        test = Arrays(source.test.inputs + change["test"], source.test.targets)
        return Source(train, test, source.spec)
"""


class Own:
    """The modules of one test, under names that no other test has, and the words that choose them."""

    def __init__(self, folder: Path) -> None:
        name = uuid4().hex[:8]
        self.folder = folder
        self.net, self.layers, self.data = (f"{kind}_{name}" for kind in ("net", "layers", "data"))
        self.write(self.net, NET.format(layers=self.layers))
        self.write(self.layers, LAYERS)
        self.write(self.data, DATA.format(file=str(folder / "shift.pt")))
        self.shift()
        conf = folder / "bmx_conf"
        (conf / "model").mkdir(parents=True)
        (conf / "data").mkdir()
        (conf / "model" / "mine.yaml").write_text(f"# Mine.\n_target_: {self.net}.Net\n# Units.\nwidth: 8\n")
        (conf / "data" / "flowers.yaml").write_text(
            "# @package _global_\n# Flowers.\n# Passes.\nepochs: 2\n# Samples.\nbatch_size: 16\ndata:\n"
            f"  # Reads them.\n  _target_: {self.data}.flowers\n  # Held out.\n  val_size: 0.1\n"
            "  # In memory.\n  in_memory: auto\n  # Processes.\n  workers: 2\n"
        )

    words = ("model=mine", "data=flowers", "plots=false", "lr=0.1")

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(textwrap.dedent(text).lstrip("\n"))

    def edit(self, module: str, old: str, new: str) -> None:
        """Changes the file; what Python has loaded of it stays as it was."""
        file = self.folder / f"{module}.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def shift(self, train: float = 0.0, test: float = 0.0) -> None:
        """Makes other data of the same shape."""
        import torch

        torch.save({"train": train, "test": test}, self.folder / "shift.pt")

    def forget(self) -> None:
        for module in (self.net, self.layers, self.data):
            sys.modules.pop(module, None)
