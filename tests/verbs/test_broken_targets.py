"""Mistakes in one's own code are told with file and line: before the start where they can be, else when they happen."""

from __future__ import annotations

import json
import sys

import pytest

from bmx.cli.main import main

OWN = """
import torch
from pytorch_lightning import Callback
from torch import nn


class Good(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(x)


class NoName(Good):
    def forward(self, x):
        return self.fc(activate(x))  # line 18


class NoInit(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Liner(4, 3)


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)


class Todo(Good):
    def forward(self, x):
        raise NotImplementedError("later")


class Shape(Good):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.fc = nn.Linear(5, num_classes)


class Key(Good):
    def forward(self, x):
        return {"a": x}["b"]


class LooksAtNumbers(Good):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]

    def forward(self, x):
        return self.fc(x) if x.abs().sum().item() >= 0 else x


class FailsOnNumbers(Good):
    def forward(self, x):
        return self.fc(x) if x.sum().item() > 1e9 else activate(x)


class Late(Good):
    calls = 0

    def forward(self, x):
        Late.calls += 1
        return self.fc(x) if Late.calls < 3 else self.fc(undefined_name)


class BadCallback(Callback):
    def __init__(self):
        self.x = nope


class LateCallback(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        whatever()


class NoCallback:
    pass


class NoLogger:
    pass


def divides():
    return 1 / 0


def listed():
    return [1, 2]


class BadOptimizer(torch.optim.SGD):
    def __init__(self, params, lr):
        raise KeyError("hm")


def no_optimizer(params, lr):
    return 3
"""
OTHERS = {
    "own_syntax": "import torch\ndef f(:\n    pass\n",
    "own_import": "import torch\nimport no_such_package_x\n",
    "own_name": "from torch import no_such_name_x\n",
    "own_extra": "import mlflow\n",
    "own_global": "x = 1\ny = z + 1\n",
    "own_exit": "import sys\nsys.exit(3)\n",
    "glob": "import torch\n",
}
PLAIN = ["~model.hidden", "~model.activation", "~model.dropout"]
NO_KNOBS = ["~optim.momentum", "~optim.nesterov", "~optim.weight_decay"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it was not installed
    (tmp_path / "own_code.py").write_text(OWN)
    for name, text in OTHERS.items():
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    for name in ("own_code", *OTHERS):
        if name != "glob":
            sys.modules.pop(name, None)


def _model(name):
    return [*PLAIN, f"model._target_={name}"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            _model("own_code.NoName"),
            ["name 'activate' is not defined", "own_code.py, line 18, in forward: return"],
        ),
        (_model("own_code.NoInit"), ["has no attribute 'Liner'", "in __init__: self.fc = nn.Liner(4, 3)"]),
        (_model("own_code.NoForward"), ["NoForward has no forward()", "model._target_", "write its forward"]),
        (_model("own_code.Todo"), ["NotImplementedError: later", "in forward: raise NotImplementedError"]),
        (_model("own_code.Shape"), ["does not take this data", "in forward: return self.fc(x)"]),
        (_model("own_code.Key"), ["KeyError: 'b'", 'return {"a": x}["b"]']),
        (_model("own_code.FailsOnNumbers"), ["name 'activate' is not defined", "in forward"]),
        (_model("own_code.Goood"), ["'own_code' has no 'Goood'", "own_code.Good"]),
        (_model("own_cod.Good"), ["there is no module 'own_cod'", "own_code"]),
        (_model("own_code"), ["not a class or function"]),
        (_model("..own"), ["no name of a class or function"]),
        (_model("own_syntax.X"), ["not valid Python: invalid syntax", "own_syntax.py, line 2: def f(:"]),
        (_model("own_import.X"), ["imports 'no_such_package_x', which is not there", "own_import.py, line 2"]),
        (_model("own_name.X"), ["cannot import name 'no_such_name_x'", "own_name.py, line 1"]),
        (
            _model("own_extra.X"),
            ["imports 'mlflow'", "own_extra.py, line 1: import", "pip install 'bmx[mlflow]'"],
        ),
        (_model("own_global.X"), ["name 'z' is not defined", "own_global.py, line 2: y = z + 1"]),
        (_model("own_exit.X"), ["ends the program when it is imported", "own_exit.py, line 2: sys.exit(3)"]),
        (_model("glob.Net"), ["not your glob.py", "give your file a name"]),
        (
            ["trainer.callbacks=[{_target_: own_code.BadCallback}]"],
            ["name 'nope' is not defined", "in __init__: self"],
        ),
        (["trainer.callbacks=[{_target_: own_code.NoCallback}]"], ["NoCallback", "trainer.callbacks[0]", "subclass"]),
        (["trainer.callbacks=[{_target_: own_code.LateCalback}]"], ["own_code.LateCallback", "trainer.callbacks[0]"]),
        (["trainer.callbacks=[{_target_: own_code.LateCallback, a: 1}]"], ["has no field 'a'", "leave it out"]),
        (["trainer.callbacks=[own_code.LateCallback]"], ["trainer.callbacks"]),
        (["trainer.callbacks=3"], ["trainer.callbacks"]),
        (["+logger.x={_target_: own_code.NoLogger}"], ["not a Lightning logger", "logger.x._target_"]),
        (["+logger.x={_target_: own_code.Nope}"], ["'own_code' has no 'Nope'"]),
        (["data._target_=own_code.divides"], ["division by zero", "in divides: return 1 / 0"]),
        (["data._target_=own_code.listed"], ["own_code.listed", "a list, not a", "Source"]),
        ([*NO_KNOBS, "optim._target_=own_code.BadOptimizer"], ["KeyError: 'hm'", 'in __init__: raise KeyError("hm")']),
        ([*NO_KNOBS, "optim._target_=own_code.no_optimizer"], ["made a int, not a torch.optim.Optimizer"]),
        (["+model.activation.x={_target_: own_code.Nope}", "model.activation={}"], ["own_code"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_before_the_start_with_their_line_and_nothing_is_written(here, capsys, words, told):
    before = sorted(here.rglob("*.y*ml")) + sorted(here.glob("outputs"))
    assert main(["train", "data=iris", "model=mlp", "epochs=1", "plots=false", *words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 3 and said.startswith("bmx: ")
    for text in told:
        assert text in said, said
    assert sorted(here.rglob("*.y*ml")) + sorted(here.glob("outputs")) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (_model("own_code.Late"), "in forward: return self.fc(x) if Late.calls < 3 else self.fc(undefined_name)"),
        (["trainer.callbacks=[{_target_: own_code.LateCallback}]"], "in on_train_epoch_end: whatever()"),
    ],
    ids=["model", "callback"],
)
def test_while_it_trains_too(here, capsys, words, line):
    assert main(["train", "data=iris", "model=mlp", "epochs=1", "plots=false", *words]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-3:]
    assert said[0].startswith("bmx: ") and "failed: NameError: name '" in said[0]
    assert "own_code.py, line " in said[1] and line in said[1] and "log.txt" in "".join(said)
    (run,) = (here / "outputs" / "train").glob("*/*")
    reason = json.loads((run / "result.json").read_text())["reason"]
    assert "NameError" in reason and "own_code.py" in reason
    assert "Traceback" in (run / "log.txt").read_text()


def test_a_model_that_looks_at_its_numbers_is_trained(here):
    """The check without memory cannot show it numbers; that is no mistake of the model."""
    assert main(["train", "data=iris", "model=mlp", "epochs=1", "plots=false", *_model("own_code.LooksAtNumbers")]) == 0
