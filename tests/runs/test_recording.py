"""However a run ends, result.json says so with the reason."""

import json
import os
import signal

import pytest

from bmx.cli.main import main
from bmx.errors import Interrupted, RunFailed, UsageError
from bmx.runs import result as results
from bmx.runs.locking import lock
from bmx.runs.recording import recorded


def read(run):
    return json.loads((run / "result.json").read_text())


def test_what_is_left_in_the_outcome_is_written(tmp_path):
    with recorded(tmp_path, "train", "x", spent=100.0, seed=3) as run:
        assert read(tmp_path)["status"] == "running" and read(tmp_path)["seed"] == 3
        with pytest.raises(UsageError, match="is being written by"):
            lock(tmp_path)
        run.outcome = {"metrics": {"test/accuracy": 1.0}}
    assert run.result == read(tmp_path) and run.result["status"] == "done"
    assert run.result["metrics"] == {"test/accuracy": 1.0} and 100 <= run.result["seconds"]["total"] < 200
    lock(tmp_path).release()


@pytest.mark.parametrize(
    "error, status, reason",
    [
        (RunFailed("no room", "here", "make some"), "failed", "no room"),
        (ValueError("of bmx's own"), "failed", "ValueError: of bmx's own"),
        (KeyboardInterrupt(), "interrupted", "stopped by Ctrl-C"),
        (Interrupted("stopped by SIGUSR1"), "interrupted", "stopped by SIGUSR1; again tomorrow"),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
)
def test_an_error_is_raised_once_it_is_written_down(error, status, reason, tmp_path):
    with pytest.raises(type(error)), recorded(tmp_path, "train", "x") as run:
        run.so_far = lambda: {"epochs": 2}
        run.postscript = lambda: "; again tomorrow" if isinstance(error, Interrupted) else ""
        raise error
    found = read(tmp_path)
    assert found["status"] == status and found["epochs"] == 2
    assert reason in found["reason"]


def test_a_signal_ends_what_goes_on_after_errors(tmp_path):
    with pytest.raises(Interrupted, match="stopped by SIGTERM"), recorded(tmp_path, "bench", "x"):
        for _ in range(3):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Exception:
                continue
    assert read(tmp_path)["reason"] == "stopped by SIGTERM"


def test_a_run_that_was_taken_back_is_not_written_again(tmp_path):
    with pytest.raises(UsageError), recorded(tmp_path, "train", "x"):
        (tmp_path / results.RESULT).unlink()
        raise UsageError("wrong", "here", "mend it")
    assert not (tmp_path / results.RESULT).exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("recording") / "run"
    words = ["model=linear", "data=iris", "epochs=1", "plots=false", f"hydra.run.dir={run}"]
    assert main(["train", *words]) == 0
    return run


@pytest.mark.parametrize("verb, part", [("evaluate", "measure"), ("bench", "measure"), ("export", "compare")])
@pytest.mark.parametrize("stopped", [False, True])
def test_every_verb_says_how_it_ended(verb, part, stopped, trained, tmp_path, monkeypatch, capsys):
    def instead(*_, **__):
        if stopped:
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("the roof fell in")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"bmx.verbs.{verb}.command.{part}", instead)
    code = main([verb, f"run={trained}"])
    (run,) = (path.parent for path in (tmp_path / "outputs").rglob("result.json"))
    found = read(run)
    if stopped:
        assert (code, found["status"], found["reason"]) == (130, "interrupted", "stopped by SIGTERM")
    else:
        assert (code, found["status"]) == (1, "failed") and "the roof fell in" in found["reason"]
    assert ("stopped by SIGTERM" if stopped else "the roof fell in") in capsys.readouterr().err
