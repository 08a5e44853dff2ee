"""What the command line refuses in words, files and its own mistakes, with advice that works."""

from __future__ import annotations

import operator
import sys
import types

import pytest
from omegaconf import OmegaConf

import bmx
from bmx.cli.main import main
from bmx.config.verbs import VERBS
from bmx.errors import UsageError
from tests.toy_house import tree, write

FILES = {
    "experiment/twice.yaml": "# @package _global_\ndefaults:\n  - /model: cnn\n",
    "experiment/once.yaml": "# @package _global_\ndefaults:\n  - override /model: cnn\n",
    "experiment/planned.yaml": "# @package _global_\nplan: true\n",
    "experiment/flat.yaml": "# @package _global_\nmodel: 3\n",
    "model/odd.yaml": "_target_: my_net.Odd\n#: int >>= 1\nwidth: 3\n",
}

CASES = [
    # words, what is said, what to do, and the words that follow it
    (["~nested"], "bmx train reads nested, which cannot be taken away", "leave it out", []),
    (["+model=cnn"], "model is chosen twice", "write model=cnn", ["model=cnn"]),
    (["experiment=twice"], "model is chosen twice", "write `override /model: cnn` in the file", ["experiment=once"]),
    (["experiment=flat"], "model must hold keys, not 3", "choose a word: model=net", ["model=net"]),
    (["model=odd"], "this declaration cannot be read", "write one such as #: int >= 1", ["model=net"]),
    (["-m", "lr=1,2", "plan=true"], "a plan is of one run", "bmx train --plan", None),
    (
        ["-m", "hydra/sweeper=basic", "lr=interval(0,1)"],
        "an interval, which the basic sweeper cannot",
        "list the values, lr=a,b,c",
        None,
    ),
    (
        ["-m", "lr=range(1,1)"],
        "a sweep over no value",
        "name some values",
        None,
    ),
    (
        ["-m", "hydra/sweeper=basic", "lr=range(1,1)"],
        "a sweep over no value at all",
        "name some values",
        None,
    ),
    (["optim.lr=0.5"], "the step size has one word, lr", "write lr=0.5", ["lr=0.5"]),
]


@pytest.mark.parametrize(("words", "what", "do", "better"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_it_is_refused_and_the_advice_works(house, words, what, do, better):
    write(house.work / "bmx_conf", FILES)
    if words == ["optim.lr=0.5"]:
        write(house.work / "bmx_conf", {"optim/linked.yaml": "# @package _global_\nlr: 0.1\noptim:\n  lr: 0.1\n"})
        words = ["optim=linked", *words]
    before = tree(house.work)
    called = house("train", *words)
    lines = called.err.splitlines()
    assert called.code == 2 and len(lines) == 3, called
    assert what in lines[0] and do in lines[2], called.err
    assert tree(house.work) == before and not house.ran
    if better is not None:
        called = house("train", *better)
        assert called.code == 0 and house.ran, called.err


def test_a_plan_that_a_file_asks_for_is_of_one_run_too(house):
    write(house.work / "bmx_conf", FILES)
    (house.conf / "train.yaml").write_text((house.conf / "train.yaml").read_text() + "# Plan.\n#: bool\nplan: false\n")
    called = house("train", "-m", "hydra/sweeper=basic", "lr=1,2", "experiment=planned")
    assert called.code == 2 and "a plan is of one run, not of a sweep" in called.err
    assert "leave out -m" in called.err.splitlines()[2]


def test_a_key_that_a_check_misses_is_named(house):
    house.behave["check"] = operator.attrgetter("there_is_no_such_thing")
    called = house("train")
    assert called.code == 2 and house.ran == []
    assert "the key 'there_is_no_such_thing'" in called.err


def test_a_mistake_in_a_check_is_no_fault_of_the_command(house, monkeypatch):
    """No line of the user's is in it: it is told as a failure, with where to see more."""
    monkeypatch.setitem(VERBS, "train", VERBS["train"]._replace(check="operator:index"))
    called = house("train")
    assert called.code == 1 and house.ran == []
    assert "checking the configuration failed" in called.err and "repeat with --debug" in called.err


def test_a_callback_of_hydras_that_breaks_is_told(house, monkeypatch):
    from hydra.experimental.callback import Callback

    class Breaks(Callback):
        def on_job_start(self, config, **kwargs):
            raise KeyError("mine")

    module = types.ModuleType("own_hydra")
    module.Breaks = Breaks
    monkeypatch.setitem(sys.modules, "own_hydra", module)
    called = house("train", "+hydra.callbacks.mine._target_=own_hydra.Breaks")
    assert called.code == 1 and house.ran == []
    assert "Breaks.on_job_start raised KeyError: 'mine'" in called.err


@pytest.mark.parametrize(
    ("key", "value", "what", "fix"),
    [
        ("lr", "${nothing.there}", "nothing.there", "give it a value that fits"),
        ("lr", "???", "lr has no value", "write cfg.lr = VALUE"),
        ("model.hidden", "???", "model.hidden has no value", "write cfg.model.hidden = VALUE"),
    ],
)
def test_a_configuration_from_python_without_a_value(key, value, what, fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = bmx.compose("train", ["data=iris", "model=mlp", "epochs=1"])
    OmegaConf.update(cfg, key, value)
    with pytest.raises(UsageError) as refused:
        bmx.train(cfg, quiet=True)
    assert what in refused.value.what and fix in refused.value.fix and f"cfg.{key}" in refused.value.where
    assert not list(tmp_path.iterdir())


_SEARCH = ["sweeper=random", "trials=1", "data=iris", "model=mlp", "epochs=1", "plots=false", "lr=interval(0.01,0.1)"]


def test_a_search_needs_something_to_choose_by(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *_SEARCH, "data.val_size=0"]) == 2
    said = capsys.readouterr().err
    assert "there is no validation result to search by" in said and "data.val_size=0.1" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_search_runs_as_advised(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *_SEARCH, "data.val_size=0.1"]) == 0
