"""What a training is refused for before anything is written, and what is advised then works."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from bmx.cli.main import main
from tests.engine.forging import forged

OWN = """
    import torch
    from torch import nn
    from pytorch_lightning.loggers import Logger
    from bmx.compression.prune.method import Prune

    class Linear(nn.Linear):
        def __init__(self, width: int, outputs: int = 3):
            super().__init__(width, outputs)

    class Pair(Linear):
        def forward(self, x):
            return super().forward(x), x

    class NotALogger:
        def __init__(self):
            pass

    class Tracker(Logger):
        name, version = "mine", 0
        def log_metrics(self, metrics, step=None): pass
        def log_hyperparams(self, *args, **kwargs): pass

    class WithoutRate(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})
        def step(self, closure=None): pass

    class Unwritten(nn.Linear):
        def __init__(self):
            raise NotImplementedError("later")

    class Keeper(torch.optim.lr_scheduler.LRScheduler):
        def __init__(self, optimizer):
            self.kept = object()
            super().__init__(optimizer)
        def get_lr(self):
            return [group["lr"] for group in self.optimizer.param_groups]

    def not_a_net():
        return {}

    def not_an_optimizer(params, lr=0.1):
        return params

    def source(shape=3):
        return shape

    def not_a_method():
        return 3
"""

FILES = {
    "own.py": OWN,
    "bmx_conf/model/system.yaml": "_target_: os.system\ncommand: ls\n",
    "bmx_conf/model/needs.yaml": "_target_: own.Linear\n",
    "bmx_conf/model/wide.yaml": "_target_: own.Linear\nwidth: .inf\n",
    "bmx_conf/model/unwritten.yaml": "_target_: own.Unwritten\n",
    "bmx_conf/scheduler/keeper.yaml": "_target_: own.Keeper\n",
    "bmx_conf/optim/lbfgs.yaml": "# @package _global_\nlr: 0.1\noptim:\n  _target_: torch.optim.LBFGS\n  lr: ${lr}\n",
    "bmx_conf/model/text.yaml": "_target_: own.Linear\nwidth: abc\n",
    "bmx_conf/model/right.yaml": "_target_: own.Linear\nwidth: 4\n",
    "bmx_conf/model/outputs.yaml": "_target_: own.Linear\nwidth: 4\noutputs: 7\n",
    "bmx_conf/model/pair.yaml": "_target_: own.Pair\nwidth: 4\n",
    "bmx_conf/model/negative.yaml": "_target_: torch.nn.Linear\nin_features: -1\nout_features: 3\n",
    "bmx_conf/model/nothing.yaml": "width: 3\n",
    "bmx_conf/model/dictionary.yaml": "_target_: own.not_a_net\n",
    "bmx_conf/optim/list.yaml": "# @package _global_\nlr: 0.1\noptim:\n  _target_: own.not_an_optimizer\n",
    "bmx_conf/optim/rateless.yaml": "# @package _global_\nlr: 0.1\noptim:\n  _target_: own.WithoutRate\n",
    "bmx_conf/data/own.yaml": "_target_: own.source\ndir: imgs\nval_size: 0.1\n",
    "bmx_conf/data/three.yaml": "_target_: own.source\nval_size: 0.1\n",
    "bmx_conf/augmentation/three.yaml": "_target_: own.not_a_method\n",
    "bmx_conf/compression/three.yaml": "_target_: own.not_a_method\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))


# What is typed, what is said, what is advised, and the words that follow the advice; none where it is to write code.
CASES = [
    (["data=own"], "own.source has no field 'dir'", "leave it out", None),
    (["data=three"], "own.source returned a int, not a Source", "return bmx.data.arrays.Source", None),
    (["augmentation=three"], "own.not_a_method is not a bmx augmentation", "write its __call__", None),
    (
        ["+logger.mine._target_=own.NotALogger"],
        "own.NotALogger is not a Lightning logger",
        "subclass",
        ["+logger.mine._target_=own.Tracker"],
    ),
    (["model=system"], "'os.system' cannot be used", "name a class or function of your own", ["model=right"]),
    (["model=nothing"], "'model' names nothing to build", "add model._target_=", None),
    (["model=needs"], "own.Linear needs 'width'", r"give it with \+model.width=", ["model=needs", "+model.width=4"]),
    (
        ["model=wide"],
        "model.width must be finite",
        "give it a number such as model.width=",
        ["model=wide", "model.width=4"],
    ),
    (["model=text"], "model.width must be", "give it a value such as model.width=", ["model=text", "model.width=4"]),
    (
        ["model=outputs"],
        "the model gives 7 outputs for 3 targets",
        "leave it to the data",
        ["model=outputs", "model.outputs=3"],
    ),
    (["model=pair"], "returns a tuple, not a tensor", "have its forward\\(\\) return one tensor", ["model=right"]),
    (
        ["model=negative"],
        "torch.nn.Linear fails: RuntimeError",
        "change its fields",
        ["model=negative", "model.in_features=4"],
    ),
    (["model=dictionary"], "made a dict, not an nn.Module", "subclass nn.Module", ["model=right"]),
    (["optim=list"], "made a list, not a torch.optim.Optimizer", "subclass torch.optim.Optimizer", ["optim=sgd"]),
    (["optim=rateless"], "keeps no 'lr'", "give each of its param_groups an 'lr'", ["optim=sgd"]),
    (
        ["optim.momentum=0", "optim.nesterov=true"],
        "Nesterov momentum requires",
        "lists the fields of optim",
        ["optim.momentum=0.9", "optim.nesterov=true"],
    ),
    (["augmentation=jitter"], "this augmentation is for images", "augmentation=none", ["augmentation=none"]),
    (
        ["scheduler=plateau", "scheduler.minimum=1", "lr=0.1"],
        "begins at its minimum",
        "a smaller minimum",
        ["scheduler=plateau", "scheduler.minimum=0.01", "lr=0.1"],
    ),
    (
        ["scheduler=cosine", "scheduler.warmup=5"],
        "warm",
        "use more epochs or a shorter warm-up",
        ["scheduler=cosine", "scheduler.warmup=1", "epochs=3"],
    ),
    (["compression=three"], "made a int, not a compression method", "write its __call__", ["compression=prune"]),
    (["data=diabetes", "data.leave_out=[1]"], "has no classes", "leave it out", ["data=diabetes"]),
    (["data.val_size=120"], "leaves none to train on", "give a count below", ["data.val_size=20"]),
    (
        ["data.val_size=0", "regularization.patience=3"],
        "early stopping needs a validation set",
        "data.val_size=0.1",
        ["data.val_size=0.1", "regularization.patience=3"],
    ),
    (
        ["trainer.accumulate=7", "batch_size=4"],
        "a batch of 4 has no 7 parts",
        "use trainer.accumulate=4",
        ["trainer.accumulate=4", "batch_size=8"],
    ),
    (["batch_size=1000"], "is larger than the training set", "batch_size=full", ["batch_size=full"]),
    (
        ["regularization=dropout", "model=linear"],
        "has no dropout",
        "a model with a dropout field",
        ["regularization=dropout", "model=mlp"],
    ),
    (
        ["compression=quantize", "compress_when=during"],
        "no schedule to follow while training",
        "use compress_when=after",
        ["compression=quantize", "compress_when=after"],
    ),
    (
        ["compression=prune", "compress_when=during", "init_from={run}"],
        "not trained again",
        "leave init_from= out",
        ["compression=prune", "compress_when=during"],
    ),
    (
        ["model=mlp", "model.hidden=[3]", "init_from={run}"],
        "the weights are of another model",
        "choose the same model=",
        ["model=mlp", "model.hidden=[32]", "data=digits", "init_from={run}"],
    ),
    (
        ["compression=pipeline", "compression.stages=[prune,quantize]"],
        "a pipeline starts from a trained run",
        "train first, then `bmx compress run=latest compression=pipeline`",
        [],
    ),
    (["model=unwritten"], "the model cannot be made: NotImplementedError", "write what is missing", ["model=right"]),
    (["scheduler=keeper"], "Keeper keeps a object in its state", "scheduler=cosine", ["scheduler=cosine"]),
    (["device=mps"], "there is no mps device", "use device=cpu or device=auto", ["device=cpu"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "what", "fix", "better"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_it_is_refused_and_the_advice_works(place, trained_run, capsys, typed, what, fix, better):
    words = [word.format(run=trained_run) for word in typed]
    assert main(["train", *_with(words)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and re.search(what, said[0]) and re.search(fix, said[2]), said
    assert not (place / "outputs").exists()
    if better is not None:
        words = [word.format(run=trained_run) for word in better]
        assert main(["train", *_with(words), "--plan"]) == 0, capsys.readouterr().err
    assert not (place / "outputs").exists()


def _with(words: list[str]) -> list[str]:
    chosen = [word.partition("=")[0] for word in words]
    usual = ["data=iris", "model=mlp", "epochs=1", "plots=false"]
    return [*(word for word in usual if word.partition("=")[0] not in chosen), *words]


def test_a_gpu_that_is_not_there(monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert main(["train", *_with(["device=cuda:7"])]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "this machine has 2 CUDA devices" in said[0] and "use cuda:0 to cuda:1" in said[2]


def test_an_optimiser_that_asks_again_for_a_loss_that_is_scaled(monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert main(["train", *_with(["optim=lbfgs", "device=cuda", "precision=16-mixed"])]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "computes the loss again cannot scale it" in said[0] and "precision=32-true" in said[2], said
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", *_with(["optim=lbfgs", "device=cpu", "precision=32-true"]), "--plan"]) == 0


@pytest.mark.parametrize(
    ("group", "what", "fix"),
    [
        (
            {"trainer": {"threads": 0, "channels_last": False, "deterministic": False}},
            "trainer.threads must be at least 1",
            "use a run that bmx has made",
        ),
        ({"precision": "fp16"}, "no precision 'fp16'", "16-mixed"),
        ({"model": "mlp"}, "the run has no model", "use a run that bmx has made"),
        (
            {"model": {"_target_": "bmx.models.mlp.MLP", "hidden": "${nowhere}"}},
            "the run refers to what is not there: Interpolation key 'nowhere' not found",
            "use a run that bmx has made",
        ),
    ],
)
def test_a_run_that_was_changed_by_hand(trained_run, tmp_path, capsys, group, what, fix):
    file = forged(trained_run, tmp_path / "changed", **group) / "checkpoints" / "best.ckpt"
    assert main(["evaluate", f"run={file}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and what in said[0] and fix in said[2], said
