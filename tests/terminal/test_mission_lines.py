"""The first commands that a new user types, in a terminal: a sweep, a training, a distillation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pseudo_terminal import Session, in_terminal, terminal
from tests.terminal.seen import in_order

TRAIN = ("train", "data=iris", "model=mlp", "model.hidden=[8]", "plots=false")
SWEEP = ("sweep", "-m", "lr=0.01,0.001", "data=iris", "model=mlp", "model.hidden=[8]", "epochs=1")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CODE = re.compile(r"\x1b")


def result(folder: Path) -> dict:
    (file,) = folder.glob("outputs/*/*/*/result.json")
    return json.loads(file.read_text())


def test_a_sweep_shows_its_jobs_while_it_runs_and_leaves_the_table(tmp_path: Path) -> None:
    with terminal(*SWEEP, folder=tmp_path, columns=120) as session:
        session.wait_for("2 jobs")
        session.wait_for("▸ lr=0.01 ")
        session.wait_for("2 running")
        session.resize(80)
        session.resize(50)
        session.resize(70)
        session.finish()
    text = in_order(session, resized=True)
    assert "2 of 2 jobs done" in text and "[2/2]" in text and "came out best" in text
    # Once more: nothing is left to do. A terminal of few means shows the same.
    plain = {"LC_ALL": "C", "NO_COLOR": "1"}
    again = in_terminal(*SWEEP, folder=tmp_path, columns=80, env=plain)
    assert "2 done before" in in_order(again)
    assert again.raw.isascii() and not COLOUR.search(again.raw)
    assert without_torch(tmp_path, *SWEEP).count("2 of 2 jobs done") == 1
    best = in_terminal("evaluate", "run=latest", "plots=false", folder=tmp_path)
    assert "is a sweep: its best job is taken" in in_order(best)


def without_torch(folder: Path, *words: str) -> str:
    """What a command prints in processes that cannot import torch."""
    for name in ("torch", "pytorch_lightning"):
        (folder / "none" / name).mkdir(parents=True)
        (folder / "none" / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "none"), str(Path(__file__).parents[2])])}
    command = [sys.executable, "-m", "bmx", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_search_that_is_over_answers_without_torch(tmp_path: Path) -> None:
    words = ("sweep", "sweeper=random", "trials=2", "data=iris", "model=mlp", "model.hidden=[8]", "epochs=1")
    words += ("lr=tag(log,interval(1e-3,1e-1))", "batch_size=choice(8,16)")
    in_order(in_terminal(*words, folder=tmp_path))
    assert "2 of 2 jobs done" in without_torch(tmp_path, *words)
    (sweep,) = tmp_path.glob("outputs/sweep/*/*")
    # With more trials there is something to do again.
    in_order(in_terminal(*words, "trials=3", folder=tmp_path))
    assert len(list(sweep.glob("jobs/*/result.json"))) == 3


@pytest.mark.parametrize("reflows", [True, False])
def test_a_training_that_is_watched_while_the_window_changes(tmp_path: Path, reflows: bool) -> None:
    with terminal(*TRAIN, "epochs=60", folder=tmp_path, columns=120, reflows=reflows) as session:
        session.wait_for("steps/s")
        for columns in (80, 40, 100, 60):
            session.resize(columns)
            session.more_lines(3)
        session.finish()
    text = in_order(session, resized=True)
    assert "test accuracy" in text and "60/60" in text


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"NO_COLOR": "1"},
        {"LANG": "C"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "TERM": "dumb"},
        {"LANG": "de_DE.ISO-8859-1"},
        {"TERM": "dumb"},
        {"TERM": None},
    ],
    ids=lambda env: "-".join(f"{k}={v}" for k, v in env.items()) or "usual",
)
def test_a_training_in_terminals_of_all_kinds(tmp_path: Path, columns: int, env: dict[str, str | None]) -> None:
    session = in_terminal(*TRAIN, "epochs=3", folder=tmp_path, columns=columns, env=env)
    text = in_order(session)
    assert "test accuracy" in text and "3/3" in text
    locale = env.get("LC_ALL") or env.get("LANG") or "C.UTF-8"
    assert session.raw.isascii() == (locale in ("C", "POSIX")) or locale.startswith("de")
    session.raw.encode("utf-8" if "UTF" in locale else "iso-8859-1")
    assert bool(COLOUR.search(session.raw)) == (env.get("TERM", "xterm") == "xterm" and "NO_COLOR" not in env)
    assert bool(CODE.search(session.raw)) == (env.get("TERM", "xterm") == "xterm")


def test_a_distillation_tells_each_of_its_runs(iris: Path) -> None:
    words = ("distill", "teacher=latest", "student=mlp", "student.hidden=[4]", "epochs=2", "plots=false")
    with terminal(*words, folder=iris, columns=120) as session:
        session.wait_for("alone")
        session.resize(80)
        session.finish()
    text = in_order(session, resized=True)
    assert "errors in 30 distilled" in text and "agreement" in text and "calibration error" in text


def piped(folder: Path, words: tuple[str, ...], most: int) -> tuple[bytes, Session]:
    """What a reader gets that goes away after so many bytes, and the terminal that standard error goes to."""
    reader, writer = os.pipe()
    with terminal(*words, folder=folder, pipe=writer) as session:
        os.close(writer)
        read = b""
        while len(read) < most and (chunk := os.read(reader, most - len(read))):
            read += chunk
        os.close(reader)
        session.finish()
    return read, session


def test_a_training_in_a_pipe_has_lines_and_no_codes(tmp_path: Path) -> None:
    read, session = piped(tmp_path, (*TRAIN, "epochs=3"), 10**6)
    assert session.code == 0 and session.raw == ""
    assert b"\x1b" not in read and b"\r" not in read and b"3/3" in read and "–".encode() in read


def test_a_training_in_a_file_says_on_the_terminal_what_it_loads_and_takes_it_back(tmp_path: Path) -> None:
    with (tmp_path / "said.txt").open("wb") as file:
        session = in_terminal(*TRAIN, "epochs=3", folder=tmp_path, pipe=file.fileno())
    assert session.code == 0 and session.screen.text == "" and "loading PyTorch" in session.raw
    said = (tmp_path / "said.txt").read_text()
    assert "\x1b" not in said and "loading" not in said and "test accuracy" in said


def test_a_training_whose_reader_goes_stops_and_says_why(tmp_path: Path) -> None:
    _, session = piped(tmp_path, (*TRAIN, "epochs=30000"), 100)
    assert session.code == 130
    assert "nobody reads its output any more" in session.screen.text
    assert result(tmp_path)["status"] == "interrupted"
    assert result(tmp_path)["reason"].startswith("stopped: nobody reads its output any more")
    assert "SIG" not in session.screen.text + next(tmp_path.glob("outputs/*/*/*/log.txt")).read_text()


def test_a_measurement_whose_reader_goes_is_kept(iris: Path) -> None:
    """It has nothing to go on with later: what it found is in its run directory."""
    _, session = piped(iris, ("evaluate", "run=latest", "outputs=outputs"), 0)
    assert session.code == 0 and session.raw == ""
    (file,) = iris.glob("outputs/evaluate/*/*/result.json")
    assert json.loads(file.read_text())["status"] == "done"


STOPPER = """
from pytorch_lightning.callbacks import Callback

class Enough(Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop = trainer.current_epoch >= 1
"""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("lr=0.5", "regularization.patience=1"), "no better val accuracy in an epoch (regularization.patience=1)"),
        (
            ("trainer.callbacks=[{_target_: stopper.Enough}]",),
            "Enough: it set trainer.should_stop in on_train_epoch_end",
        ),
    ],
    ids=["patience", "callback"],
)
def test_a_training_that_ends_early_says_why(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    (tmp_path / "stopper.py").write_text(STOPPER)
    session = in_terminal(*TRAIN, "epochs=200", *words, folder=tmp_path, columns=120)
    text, found = in_order(session), result(tmp_path)
    assert found["ended_early"] == {"after": found["epochs"], "of": 200, "reason": reason}
    assert found["status"] == "done" and found["epochs"] < 200
    said = f"ended after {found['epochs']} of 200 epochs: {reason}"
    assert said in text and said in next(tmp_path.glob("outputs/*/*/*/log.txt")).read_text()
    assert f"ended early      after {found['epochs']} of 200" in text


def test_a_training_that_goes_to_its_end_says_nothing_of_that(tmp_path: Path) -> None:
    session = in_terminal(*TRAIN, "epochs=2", "regularization.patience=2", folder=tmp_path)
    assert "early" not in in_order(session) and "ended_early" not in result(tmp_path)
