"""What is wrong with a sweep is told in three lines, each with an advice that fits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bmx.config.many import Composer
from bmx.config.search_path import make_loader
from bmx.errors import BmxError, UsageError
from bmx.sweep import objective, preflight
from bmx.sweep.grid import take_apart
from bmx.sweep.job import Job
from bmx.sweep.search import settings as search_settings
from bmx.sweep.search.first_points import first_points
from bmx.sweep.search.space import dimension, make_space
from bmx.sweep.workers import launching, resources
from bmx.sweep.workers.duration import seconds

_RULES = {"on_error": "continue", "retries": 0, "fork": "auto", "timeout": None}
_SEARCH = {"sampler": "tpe", "trials": 3, "minutes": None, "pruner": "auto"}


@pytest.fixture(scope="module")
def composer():
    return Composer(make_loader("train"), "train")


def apart(composer, *words, **more):
    return take_apart([composer.parse(word) for word in words], **more)


def space(composer, *words, files=None):
    return make_space(apart(composer, *words), composer, files)


def told(call, *arguments, **named):
    """The error of a call; always of three lines."""
    with pytest.raises(UsageError) as raised:
        call(*arguments, **named)
    assert len(raised.value.lines()) == 3, raised.value.lines()
    return raised.value


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        ({"on_error": "stopp"}, "no on_error 'stopp'", "'stop'"),
        ({"retries": -1}, "retries must be a whole number, 0 or more, not -1", "retries=1"),
        ({"retries": True}, "retries must be a whole number", "retries=1"),
        ({"fork": "maybe"}, "fork must be true, false or auto", "leave it out"),
        ({"timeout": "soon"}, "timeout must be a time, got 'soon'", "timeout=10min"),
    ],
)
def test_a_launchers_settings(change, what, fix):
    error = told(launching.rules, _RULES | change)
    assert what in error.what and fix in error.fix


@pytest.mark.parametrize(
    ("change", "objectives", "what", "fix"),
    [
        ({"sampler": "tep"}, 1, "no sampler 'tep'", "'tpe'"),
        ({"trials": None}, 1, "a search needs an end", "trials=30"),
        ({"trials": 0}, 1, "trials must be a whole number, 1 or more", "trials=30"),
        ({"minutes": -1}, 1, "minutes must be greater than 0", "minutes=10"),
        ({"pruner": "medain"}, 1, "no pruner 'medain'", "'median'"),
        ({"pruner": "median"}, 2, "with several objectives no job can be called hopeless", "leave pruner out"),
    ],
)
def test_a_searchs_settings(change, objectives, what, fix):
    error = told(search_settings.check, _SEARCH | change, objectives)
    assert what in error.what and fix in error.fix


def test_a_search_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    error = told(search_settings.check, _SEARCH, 1)
    assert "needs optuna" in error.what and "pip install 'bmx[optuna]'" in error.fix


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("accuracy:0.9", "a bound alone does not say what is best"),
        (["auto", "macs"], "auto stands for one objective"),
        (["macs", "cost/macs"], "an objective is named twice"),
        ("test/accuracy", "the test set must not choose"),
        ("up:val/loss", "no direction 'up'"),
        ("val/oddity", "is more of 'val/oddity' better, or less?"),
        (["macs", "accuracy:nan"], "no bound 'nan'"),
    ],
)
def test_objectives(asked, what):
    error = told(objective.parse, asked)
    assert what in error.what
    advised = error.fix.rpartition("objective=")[2] if "objective=" in error.fix else ""
    if advised and " or " not in advised:
        objective.parse(advised if advised[0] != "[" else advised.strip("[]").split(","))


def test_times_and_places():
    assert "timeout=90 (seconds)" in told(seconds, "5x", "timeout").fix
    assert told(resources.slots, 0).fix == "jobs=auto"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["lr=0.1"], "there is nothing to search over"),
        (["lr=interval(1,1)"], "the interval of lr is empty"),
        (["lr=tag(log,interval(0,1))"], "a logarithmic scale of lr cannot begin at 0"),
        (["lr=tag(log,range(0,3))"], "a logarithmic scale of lr cannot begin at 0"),
    ],
)
def test_spaces(composer, words, what):
    assert what in told(space, composer, *words).what


def test_dimensions_of_nothing(composer):
    assert told(dimension, composer.parse("epochs=range(3,3)")).what == "the range of epochs is empty"
    assert told(dimension, composer.parse("optim=glob(nothing*)")).what == "a sweep over no value"


def test_files_of_search_space(composer, tmp_path, monkeypatch):
    error = told(space, composer, "lr=1,2", files="optm")
    assert "no group 'optm' has files of search space" in error.what and "optim" in error.fix
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bmx_conf" / "space" / "optim" / "sgd.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("optim:\n  momentum: 0.5\n")
    error = told(space, Composer(make_loader("train"), "train"), "optim=sgd,adam", files="optim")
    assert error.what == "optim.momentum has one value only: 0.5" and "interval" in error.fix


def test_first_points(composer):
    found = space(composer, "lr=interval(0.1,1)", "optim=sgd,adam", "batch_size=range(8,65,8)")
    for point, what in (
        ("lr=0.1", "a first point must name keys and values"),
        ({"rl": 0.1}, "rl is not searched over"),
        ({"optim": "adma"}, "optim cannot be adma"),
        ({"lr": 7}, "lr cannot be 7"),
        ({"batch_size": 7}, "batch_size cannot be 7"),
        ({"lr": "high"}, "lr cannot be high"),
    ):
        assert what in told(first_points, found, [point]).what, point


@pytest.mark.parametrize(
    ("words", "seeds", "what"),
    [
        (["seed=1,2"], 2, "seed and seeds exclude each other"),
        (["lr=1"], "many", "seeds must be how many, or a list of seeds, not 'many'"),
        (["lr=1"], 0, "seeds must be how many"),
        (["seed=interval(1,2)"], None, "seeds cannot be searched for"),
        (["seed=1,two"], None, "seed must be a whole number, not 'two'"),
        (["optim=glob(nothing*)"], None, "a sweep over no value"),
    ],
)
def test_words(composer, words, seeds, what):
    assert what in told(apart, composer, *words, seeds=seeds).what


class _Dead:
    """Starts processes that end without an answer."""

    class _Process:
        code = 9

    def start(self, spec):
        Path(spec["log"]).write_text("killed: out of memory\n")
        return self._Process()

    def wait(self, timeout):
        raise AssertionError("the process has ended")


def test_a_check_that_dies_is_told(composer):
    with pytest.raises(BmxError) as raised:
        preflight.check(
            _Dead(), "bmx.verbs.train.command:check", [(Job("x", ("lr=1",), {}, None), composer.compose(()))]
        )
    assert raised.value.what == "the configurations could not be checked"
    assert raised.value.where == "killed: out of memory"
    assert os.path.sep not in raised.value.fix
