"""A top-level knob reaches the object or is refused: the step size of an optimiser of a user's own."""

import csv
import json

import pytest
import torch

from bmx.cli.main import main

COMMON = ["train", "data=iris", "model=mlp", "model.hidden=[8]", "epochs=1", "batch_size=40", "plots=false"]
OWN = "tests.engine.user_optimisers."
FILES = {
    "mine": "_target_: torch.optim.SGD\nlr: 0.001\n",
    "bare": "_target_: torch.optim.SGD\nmomentum: 0.5\n",
    "tied": "_target_: torch.optim.SGD\nlr: ${lr}\n",
    "own_default": "# @package _global_\nlr: 0.03\noptim:\n  _target_: torch.optim.SGD\n  lr: ${lr}\n",
    "two": "# @package _global_\nlr: 0.03\noptim:\n  _target_: torch.optim.SGD\n  lr: 0.04\n",
    "decayed": "_target_: torch.optim.SGD\nlr: 0.001\nweight_decay: 0.1\n",
    "adafactor": "_target_: torch.optim.Adafactor\n",
    "named": f"_target_: {OWN}NamedOtherwise\nlearning_rate: ${{lr}}\n",
    "unnamed": f"_target_: {OWN}NamedOtherwise\n",
    "fixed": f"_target_: {OWN}Fixed\n",
    "scaled": f"_target_: {OWN}Scaled\n",
    "nameless": f"_target_: {OWN}Nameless\n",
    "none": f"_target_: {OWN}NoOptimiser\n",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bmx_conf/optim"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / f"{name}.yaml").write_text(text)
    return tmp_path


def rates(run):
    """What the optimiser steps with, what the file says, and what the screen said, of one run."""
    last = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    with (run / "metrics.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    return last["optimizer_states"][0]["param_groups"][0]["lr"], float(row["lr"])


@pytest.mark.parametrize(
    ("words", "rate", "shown"),
    [
        (["optim=mine", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=mine", "lr=1e-5"], 1e-5, "lr 1e-05,"),
        (["optim=mine"], 0.001, "lr 0.001,"),
        (["optim=bare", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=tied", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=own_default"], 0.03, "lr 0.03,"),
        (["optim=own_default", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=decayed", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=adafactor", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=named", "lr=0.5"], 0.5, "lr 0.5,"),
        (["optim=unnamed", "lr=0.3"], 0.3, "lr 0.3,"),
        (["optim=scaled", "lr=0.5"], 0.05, "lr 0.05,"),
        (["optim.lr=${lr}", "lr=0.5"], 0.5, "lr 0.5,"),
    ],
)
def test_what_is_typed_is_what_the_optimiser_has_and_the_screen_shows(words, rate, shown, here, capsys):
    assert main([*COMMON, *words, "hydra.run.dir=run"]) == 0, capsys.readouterr().err
    assert rates(here / "run") == (pytest.approx(rate), pytest.approx(rate))
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says", "advised"),
    [
        (["optim.lr=0.3"], "the step size has one word, lr", ["lr=0.3"]),
        (["optim.lr=0.3", "lr=0.1"], "the step size has one word, lr", ["lr=0.3"]),
        (["optim=mine", "optim.lr=0.3"], "the step size has one word, lr", ["optim=mine", "lr=0.3"]),
        (["optim.lr=auto"], "the step size has one word, lr", ["lr=auto"]),
        (["optim=two"], "optim.lr is 0.04 and lr is 0.03", ["optim=two", "lr=0.04"]),
        (["optim=unnamed", "lr=0.5"], "steps with the rate 0.3 whatever lr is", ["optim=unnamed", "lr=0.3"]),
        (["optim=fixed", "lr=0.5"], "steps with the rate 0.05 whatever lr is", ["optim=fixed", "lr=0.05"]),
        (["optim=nameless", "lr=0.5"], "keeps no 'lr' for its parameters", None),
        (["optim=none", "lr=0.5"], "not a torch.optim.Optimizer", None),
        (["data.batch_size=8"], "no key 'data.batch_size'", None),
        (["+data.batch_size=8"], "has no field 'batch_size'", None),
        (["model.seed=1"], "no key 'model.seed'", None),
        (["+model.seed=1"], "has no field 'seed'", None),
        (["+model.lr=1"], "has no field 'lr'", None),
        (["+optim.seed=1"], "has no field 'seed'", None),
    ],
)
def test_what_would_not_reach_it_is_refused_and_the_advice_works(words, says, advised, here, capsys):
    assert main([*COMMON, *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert not (here / "outputs").exists()
    if advised is not None:
        assert advised[-1] in said
        assert main([*COMMON, *advised, "hydra.run.dir=run"]) == 0, capsys.readouterr().err


def test_swept_rates_and_rates_found_by_trials_reach_it_too(here, capsys):
    assert main([*COMMON, "-m", "optim=mine", "lr=0.5,1e-5", "hydra.sweep.dir=sweep"]) == 0, capsys.readouterr().err
    swept = {rates(run.parents[1])[0] for run in here.rglob("last.ckpt")}
    assert swept == {0.5, 1e-5}
    assert main([*COMMON, "optim=mine", "lr=auto", "hydra.run.dir=run"]) == 0, capsys.readouterr().err
    found = json.loads((here / "run/result.json").read_text())["found"]["lr"]
    assert rates(here / "run") == (found, found)


def test_the_rate_may_change_on_resume(here, capsys):
    stop = "trainer.callbacks=[{_target_: tests.engine.user_callbacks.Interrupts, step: 4}]"
    assert main([*COMMON, "optim=mine", "lr=0.5", "epochs=2", stop, "hydra.run.dir=run"]) == 130
    assert main(["train", "resume=run", "trainer.callbacks=[]", "lr=0.25"]) == 0, capsys.readouterr().err
    assert rates(here / "run") == (0.25, 0.25)
