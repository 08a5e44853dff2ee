"""What is refused of a run that was trained with other data, with nothing held out, or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bmx
from bmx.cli.main import main


def _train(folder: Path, name: str, *words: str) -> Path:
    cfg = bmx.compose("train", [*words, "epochs=1", "plots=false", f"outputs={folder}", f"name={name}"])
    bmx.train(cfg, quiet=True)
    (run,) = (folder / "train" / name).iterdir()
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with nothing held out, and one of a regression."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "all": _train(folder, "all", "data=iris", "model=mlp", "data.val_size=0"),
        "numbers": _train(folder, "numbers", "data=diabetes", "model=mlp"),
        "flowers": _train(folder, "flowers", "data=iris", "model=mlp"),
    }


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


ZEROS = ("weights that are zero stay in the file", "use target.accuracy_drop, or low_rank or prune_structured", None)
CASES = [
    # verb, words, what is said, what to do, and the words that follow it, where that is a check alone
    (
        "evaluate",
        ["run={all}", "split=val"],
        "held nothing out for validation",
        "use split=test",
        ["run={all}", "split=test"],
    ),
    (
        "evaluate",
        ["run={flowers}", "data=wine"],
        "trained on input shape",
        "choose data of the same shape",
        ["run={flowers}", "data=iris"],
    ),
    ("evaluate", ["run={folder}/none.ckpt"], "none.ckpt", "", None),
    (
        "evaluate",
        ["run={folder}/code.ckpt"],
        "damaged or holds more than plain tensors",
        "best.ckpt of a finished run",
        ["run={flowers}/checkpoints/best.ckpt"],
    ),
    (
        "evaluate",
        ["run={folder}/other.ckpt"],
        "the file is not a model that bmx wrote",
        "best.ckpt of a run",
        ["run={flowers}/checkpoints/best.ckpt"],
    ),
    ("bench", ["run={flowers}", "batch_sizes=[]"], "no batch size", "write batch_sizes=1,256", None),
    (
        "compress",
        ["run={all}", "target.accuracy_drop=1"],
        "a target needs a validation set",
        "train the run with data.val_size=0.1",
        None,
    ),
    ("compress", ["run={numbers}", "target.accuracy_drop=1"], "this model has no accuracy", "use target.bytes", None),
    ("compress", ["run={flowers}", "compression=prune", "target.bytes=9000"], *ZEROS),
    ("compress", ["run={flowers}", "compression=deep", "target.latency_ms=1"], *ZEROS),
    (
        "compress",
        ["run={flowers}", "compression=pipeline", "stages=[prune,quantize]", "target.bytes=9000", "target.trials=2"],
        *ZEROS,
    ),
    ("compress", ["run={flowers}", "data=wine"], "wine has another input shape", "leave data= out", None),
    ("compress", ["run={all}", "split=val"], "no validation set to choose by", "split=test", None),
    ("distill", ["teacher=[]", "student=mlp", "data=iris"], "there is no teacher", "name a run, or a model word", None),
    (
        "distill",
        [
            "teacher={flowers}",
            "data=iris",
            "model=mlp",
            "distillation=fitnet",
            "distillation.student_layers=[hidden.linear1,head]",
            "distillation.teacher_layers=null",
        ],
        "layers are compared in pairs",
        r"write distillation.teacher_layers=\[...\] with 2 paths",
        None,
    ),
    (
        "distill",
        ["teacher=mlp", "model=mlp", "data=language_id", "model=transformer", "distillation.mixup=0.5"],
        "tokens cannot be mixed",
        "distillation.mixup=0",
        None,
    ),
    ("sweep", ["data=iris", "seed=interval(0,5)", "lr=0.1"], "seeds cannot be searched for", "write seeds=5", None),
    ("sweep", ["data=iris", "sweeper=tpe", "lr=range(1,1)"], "a sweep over no value", "name some values", None),
]


@pytest.mark.parametrize(
    ("verb", "words", "what", "fix", "better"), CASES, ids=[f"{v} {' '.join(w)}"[:70] for v, w, *_ in CASES]
)
def test_it_is_refused_and_the_advice_works(runs, tmp_path, capsys, verb, words, what, fix, better):
    import torch

    torch.save(torch.nn.Linear(2, 2), tmp_path / "code.ckpt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.ckpt")
    named = {**{name: str(run) for name, run in runs.items()}, "folder": str(tmp_path)}
    assert main([verb, *(word.format(**named) for word in words)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and re.search(what, said[0] + said[1]) and re.search(fix, said[2]), said
    assert not (tmp_path / "outputs").exists()
    if better is not None:
        assert main([verb, *(word.format(**named) for word in better)]) == 0, capsys.readouterr().err


def test_a_run_without_a_model_yet(runs, tmp_path, capsys):
    import shutil

    begun = tmp_path / "begun"
    shutil.copytree(runs["flowers"], begun)
    (begun / "checkpoints" / "best.ckpt").unlink()
    assert main(["evaluate", f"run={begun}"]) == 2
    said = capsys.readouterr().err
    assert "this run has no model yet" in said and "bmx train resume=begun" in said


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("range(1,1)", "the range of optim.momentum is empty", "write optim.momentum=range(start,stop)"),
        ("interval(1,0)", "the interval of optim.momentum is empty", "write optim.momentum=interval(low,high)"),
    ],
)
def test_a_space_of_ones_own_that_holds_nothing(tmp_path, capsys, text, what, fix):
    file = tmp_path / "bmx_conf" / "space" / "optim" / "sgd.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"optim.momentum: {text}\n")
    words = ["data=iris", "model=mlp", "epochs=1", "sweeper=tpe", "space=optim", "optim=sgd"]
    assert main(["sweep", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and what in said[0] and fix in said[2], said
    assert not (tmp_path / "outputs").exists()
