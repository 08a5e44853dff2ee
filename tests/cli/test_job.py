"""One run: its name, its directory, its log, its exit code; and the process left as it was found."""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from bmx.errors import Interrupted, RunFailed, UsageError
from tests.toy_house import tree


def test_a_run_gets_a_directory_and_its_composed_configuration(house):
    folders = []
    house.behave["run"] = lambda cfg, run_dir: folders.append(cfg.nested.folder)
    assert house("train", "model=cnn", "lr=0.5").code == 0
    ((cfg, run_dir),) = house.ran
    assert [run_dir] == [path.resolve() for path in house.runs()]
    assert run_dir.parent == house.work / "outputs" / "train" / "cnn-toy-sgd"
    assert cfg.name == "cnn-toy-sgd" and cfg.lr == 0.5 and "hydra" not in cfg
    assert folders == [str(run_dir)]
    assert (run_dir / "log.txt").exists()
    assert yaml.safe_load((run_dir / ".hydra" / "overrides.yaml").read_text()) == ["model=cnn", "lr=0.5"]
    assert yaml.safe_load((run_dir / ".hydra" / "config.yaml").read_text())["name"] == "cnn-toy-sgd"
    hydra = yaml.safe_load((run_dir / ".hydra" / "hydra.yaml").read_text())["hydra"]
    assert hydra["job"]["name"] == "train" and hydra["run"]["dir"] == os.path.relpath(run_dir)


def test_check_comes_before_anything_is_written(house):
    seen = []
    house.behave["check"] = lambda cfg: seen.append((tree(house.work), cfg.name, "hydra" in cfg, cfg.nested.folder))
    assert house("train").code == 0
    assert seen == [({}, "net-toy-sgd", False, "auto")]


def test_a_check_that_says_no_leaves_nothing(house):
    def refuse(cfg):
        raise UsageError("it does not fit", "model.width", "make it wider")

    house.behave["check"] = refuse
    called = house("train")
    assert called.code == 2 and tree(house.work) == {} and not house.ran
    assert called.err == "bmx: it does not fit\n  where: model.width\n  do:    make it wider\n"


def test_a_check_that_breaks_in_the_users_code_names_the_line(house):
    house.behave["check"] = lambda cfg: 1 / 0
    called = house("train")
    assert called.code == 2 and "ZeroDivisionError" in called.err and "Traceback" not in called.err
    assert "test_job.py, line" in called.err
    assert tree(house.work) == {}
    assert "Traceback" in house("train", "--debug").err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["experiment=fast"], "fast"),
        (["optim=adam", "data=digits"], "net-digits-adam"),
        (["name=mine"], "mine"),
        (["name='a b/../c'"], "a-b-..-c"),
        (["name=7"], "7"),
    ],
)
def test_names(house, words, name):
    assert house("train", *words).code == 0
    assert house.runs()[0].parent.name == name


def test_an_evaluation_is_called_as_its_run(house):
    house("train", "name=mine")
    (run,) = house.runs()
    (run / "result.json").write_text(json.dumps({"status": "done"}))
    assert house("evaluate", f"run={run.name}", "data=digits").code == 0
    assert house.runs("evaluate")[0].parent.name == "mine-digits"


def test_a_directory_of_the_users_own(house):
    assert house("train", "hydra.run.dir=here/it is").code == 0
    assert house.ran[0][1] == house.work / "here" / "it is"
    assert not (house.work / "outputs").exists()
    again = house("train", "hydra.run.dir=here/it is")
    assert again.code == 2 and "already holds a run" in again.err
    assert len(house.ran) == 1


def test_outputs_elsewhere(house, tmp_path):
    assert house("train", f"outputs={tmp_path / 'else'}").code == 0
    assert house.ran[0][1].is_relative_to(tmp_path / "else" / "train")


def raising(error):
    def run(cfg, run_dir):
        raise error

    return run


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (lambda cfg, run_dir: None, 0),
        (lambda cfg, run_dir: {"status": "done"}, 0),
        (lambda cfg, run_dir: {"status": "failed"}, 1),
        (lambda cfg, run_dir: {"status": "interrupted"}, 130),
        (raising(RunFailed("the loss is nan", "step 3", "a smaller lr")), 1),
        (raising(Interrupted("stopped")), 130),
        (raising(KeyboardInterrupt()), 130),
        (raising(ValueError("no")), 1),
        (raising(SystemExit(0)), 0),
    ],
)
def test_exit_codes(house, behaviour, code):
    house.behave["run"] = behaviour
    called = house("train")
    assert called.code == code
    assert "Traceback" not in called.err


def test_a_failed_run_says_so_and_logs_so(house):
    house.behave["run"] = raising(RunFailed("the loss is nan", "step 3", "a smaller lr"))
    called = house("train")
    assert called.err.splitlines() == ["bmx: the loss is nan", "  where: step 3", "  do:    a smaller lr"]
    assert "the loss is nan" in (house.runs()[0] / "log.txt").read_text()


def test_an_unexpected_error_is_short_and_its_traceback_is_in_the_log(house):
    house.behave["run"] = raising(ValueError("shapes\ndo not fit"))
    called = house("train")
    (run,) = house.runs()
    where = f"the traceback is in {run.relative_to(house.work)}/log.txt"
    assert called.err.splitlines()[0] == "bmx: the run failed: ValueError: shapes"
    assert where in called.err and "--debug" in called.err and len(called.err.splitlines()) == 3
    log = (run / "log.txt").read_text()
    assert "Traceback" in log and "ValueError: shapes\ndo not fit" in log
    assert "Traceback" in house("train", "--debug").err


def test_log_gets_everything_and_the_terminal_only_warnings(house):
    def run(cfg, run_dir):
        logging.getLogger("bmx.engine").info("from bmx")
        logging.getLogger("bmx.engine").debug("too much")
        logging.getLogger("somebody").info("noise")
        logging.getLogger("somebody").warning("careful")

    house.behave["run"] = run
    called = house("train")
    log = (house.runs()[0] / "log.txt").read_text()
    assert [line.split(maxsplit=2)[2] for line in log.splitlines()] == ["INFO from bmx", "WARNING careful"]
    assert called.err == "WARNING: careful\n" and called.out == ""


@pytest.mark.slow
def test_the_process_is_left_as_it_was(house):
    root, ours = logging.getLogger(), logging.getLogger("bmx")
    before = (list(sys.argv), list(sys.path), dict(os.environ), list(root.handlers), root.level, ours.handlers[:])
    ours_before = (ours.level, ours.propagate)
    house.behave["run"] = raising(ValueError("no"))
    for words in ([], ["lrr=1"], ["-m", "lr=1,2"], ["--cfg", "job"], ["--help"], ["--info", "config"]):
        house("train", *words)
    after = (list(sys.argv), list(sys.path), dict(os.environ), list(root.handlers), root.level, ours.handlers[:])
    assert after == before
    assert (ours.level, ours.propagate) == ours_before


def test_a_run_sees_the_command_as_it_was_typed(house, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/bmx", "train", "lr=3"])
    seen = []
    house.behave["run"] = lambda cfg, run_dir: seen.append(list(sys.argv))
    house("train", "lr=3")
    assert seen == [["/bin/bmx", "train", "lr=3"]]


def test_runs_one_after_another_are_apart(house):
    assert [house("train", f"lr={lr}").code for lr in (1, 2, 3)] == [0, 0, 0]
    assert [cfg.lr for cfg, _ in house.ran] == [1, 2, 3]
    assert len({run_dir for _, run_dir in house.ran}) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cfg", "job"], "lr: 0.01\n"),
        (["--cfg", "job", "-p", "optim"], "momentum: 0.9"),
        (["-c", "job", "model=cnn", "--resolve", "-p", "model"], "dropout: true"),
        (["--cfg", "hydra"], "bmx.cli.callback.RunCallback"),
        (["--cfg", "all"], "hydra:\n"),
        (["--info", "searchpath"], "Config search path"),
        (["--info", "defaults-tree"], "optim: sgd"),
        (["--hydra-help"], "Hydra (1."),
        (["--cfg", "job", "--config-name", "evaluate"], "run: latest"),
    ],
)
def test_hydras_own_flags_work_and_write_nothing(house, arguments, says):
    called = house("train", *arguments)
    assert called.code == 0 and says in called.out, called.err
    assert tree(house.work) == {} and not house.ran and not house.checked


def test_no_warnings_on_the_way(house):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert house("train").code == 0
        assert house("train", "-m", "launcher=basic", "sweeper=basic", "lr=1,2").code == 0


def test_a_run_directory_that_cannot_be_made(house):
    Path("outputs").write_text("a file")
    called = house("train")
    assert called.code == 2 and "outputs" in called.err and not house.ran


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("~hydra.callbacks", "bmx cannot do without its hydra.callbacks"),
        ("~hydra.callbacks.bmx", "bmx cannot do without its hydra.callbacks.bmx"),
        ("hydra.callbacks=null", "bmx cannot do without its hydra.callbacks"),
        ("hydra.callbacks.bmx._target_=builtins.print", "bmx cannot do without its hydra.callbacks.bmx._target_"),
        ("hydra.run.dir=null", "hydra.run.dir says where to write"),
        ("~hydra.run.dir", "hydra.run.dir says where to write"),
        ("~hydra.run", "bmx cannot do without its hydra.run"),
    ],
)
def test_what_a_run_needs_of_hydra_cannot_be_taken_away(house, word, told):
    called = house("train", word)
    assert called.code == 2 and told in called.err
    assert list(house.work.iterdir()) == [] and house.ran == []


def test_a_callback_of_ones_own_may_be_added(house):
    word = "+hydra.callbacks.mine={_target_: hydra.experimental.callback.Callback}"
    assert house("train", word).code == 0 and len(house.runs()) == 1
