"""Each test has a folder of configuration, stub verbs that need no torch, and a place to run in."""

import shutil
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bmx.cli.main import main
from bmx.config import search_path, verbs

REPOSITORY = Path(__file__).resolve().parents[1]

CONF = {
    "train.yaml": """
        # bmx train: a root for tests.
        defaults:
          - _self_
          - hydra: bmx
          - optim: sgd
          - data: toy
          - model: net
          - experiment: null

        # Step size, of whichever optimiser.
        #: float > 0 or auto, such as 0.01
        lr: ???
        # Passes over the training set.
        #: int >= 1, such as 10
        epochs: 10
        # Samples in one step.
        #: int >= 1 or full or auto, such as 100
        batch_size: 100
        # Randomness.
        #: int in [0, 4294967295]
        seed: 0
        # Names the run.
        #: name or null
        name: null
        # Folder of runs.
        #: folder, such as outputs
        outputs: outputs
        # Goes on with a run.
        #: run or null
        resume: null
        nested:
          # A switch.
          #: bool
          switch: true
          # Where a run writes.
          #: path
          folder: ${hydra:runtime.output_dir}
        """,
    "evaluate.yaml": """
        # bmx evaluate: a root for tests.
        defaults:
          - _self_
          - hydra: bmx
          - data: null
        # The run to measure.
        #: run
        run: latest
        # Null takes the run's own.
        #: one of 32-true, bf16-mixed or null
        precision: null
        # Names the evaluation.
        #: name or null
        name: null
        # Folder of runs.
        #: folder, such as outputs
        outputs: outputs
        """,
    "optim/sgd.yaml": """
        # @package _global_
        # Plain steps.
        # Step size.
        #: float > 0 or auto, such as 0.01
        lr: 0.01
        optim:
          _target_: torch.optim.SGD
          # Fraction kept.
          #: float in [0, 1)
          momentum: 0.9
        """,
    "optim/adam.yaml": """
        # @package _global_
        # Moments.
        # Step size.
        #: float > 0 or auto, such as 0.01
        lr: 0.001
        optim:
          _target_: torch.optim.Adam
          # Decay rates.
          #: list of 2 float in [0, 1), such as [0.9,0.999]
          betas: [0.9, 0.999]
        """,
    "data/toy.yaml": "# Toy data.\n# Folder.\n#: folder or null\ndir: null\n",
    "data/digits.yaml": "# Digits.\n# Folder.\n#: folder or null\ndir: null\n",
    "model/net.yaml": "# A net.\n_target_: my_net.Net\n# Units.\n#: int >= 1\nwidth: 3\n",
    "model/cnn.yaml": """
        # A CNN.
        _target_: my_net.Cnn
        # Layers.
        #: int >= 1
        depth: 2
        # Dropped.
        #: bool
        dropout: ${nested.switch}
        """,
    "experiment/fast.yaml": """
        # @package _global_
        # Quick.
        defaults:
          - override /model: cnn
        # Few.
        epochs: 2
        """,
}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, their text without the indent that it has in a test."""
    import textwrap

    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder below, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@dataclass
class Called:
    """What a call of the command line came to."""

    code: int
    out: str
    err: str


@dataclass
class House:
    """The folders of one test, the stub verbs' calls, and the command line."""

    conf: Path
    work: Path
    capsys: pytest.CaptureFixture[str]
    checked: list = field(default_factory=list)
    ran: list = field(default_factory=list)
    behave: dict[str, Callable] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> Called:
        self.capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = self.capsys.readouterr()
        return Called(code, said.out, said.err)

    def runs(self, verb: str = "train") -> list[Path]:
        """The run directories made, oldest first."""
        return sorted(self.work.glob(f"outputs/{verb}/*/*"), key=lambda path: path.name)


@pytest.fixture
def house(tmp_path, monkeypatch, capsys):
    """bmx with a small configuration and stub verbs, standing in an empty folder."""
    conf, work = tmp_path / "conf", tmp_path / "work"
    write(conf, CONF)
    shutil.copytree(REPOSITORY / "conf" / "hydra", conf / "hydra")
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("BMX_CONF", raising=False)
    monkeypatch.setattr(search_path, "conf_dir", lambda: conf)
    house = House(conf, work, capsys)

    def check(cfg):
        house.checked.append(cfg)
        house.behave.get("check", lambda cfg: None)(cfg)

    def run(cfg, run_dir):
        house.ran.append((cfg, run_dir))
        return house.behave.get("run", lambda cfg, run_dir: {"status": "done"})(cfg, run_dir)

    stub = types.ModuleType("stub_verb")
    stub.check, stub.run = check, run
    monkeypatch.setitem(sys.modules, "stub_verb", stub)
    for name in ("train", "evaluate"):
        entry = verbs.VERBS[name]._replace(target="stub_verb:run", check="stub_verb:check")
        monkeypatch.setitem(verbs.VERBS, name, entry)
    return house
