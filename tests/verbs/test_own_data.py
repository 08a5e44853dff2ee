"""Data from a function of the user's own, through the command line: taken, or refused before anything is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bmx.cli.main import main
from bmx.runs import result as results

MODULE = """
import numpy as np
from bmx.data.arrays import Arrays, Source
from bmx.data.spec import DataSpec

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(60, 4))
LABELS = (ROWS[:, 0] > 0).astype(np.int32)
SPEC = DataSpec("mine", "table", [4], np.int64(2), labels=["no", "yes"])

def make(change=None, labels=None, part="train", raw=None, spec=None):
    parts = {"train": [ROWS[:40].copy(), LABELS[:40].copy()], "test": [ROWS[40:].copy(), LABELS[40:].copy()]}
    if change is not None:
        row, column, value = change
        parts[part][0][row, column] = float(value)
    if labels is not None:
        parts[part][1] = parts[part][1].astype(float)
        parts[part][1][3] = float(labels)
    if raw == "tuple":
        return parts["train"], parts["test"]
    if raw == "nothing":
        return None
    if raw == "attribute":
        return Source(parts.training, None, SPEC)
    if raw == "pairs":
        return Source(parts["train"], parts["test"], SPEC)
    if raw == "short":
        parts["train"][1] = parts["train"][1][:-1]
    return Source(Arrays(*parts["train"]), Arrays(*parts["test"]), SPEC)
"""
CONF = """
# My data.
# The function that reads it.
_target_: my_own_data.make
# A value to change.
change: null
# A label to change.
labels: null
# Where.
part: train
# Something else.
raw: null
# Held out.
val_size: 0.2
# Worker processes.
workers: 0
# Where the samples are.
in_memory: auto
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_own_data.py").write_text(MODULE)
    conf = tmp_path / "bmx_conf" / "data"
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text(CONF)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_own_data", raising=False)
    monkeypatch.setenv("BMX_CACHE", str(tmp_path / "cache"))
    return tmp_path


def told(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that is refused says; nothing is left behind."""
    capsys.readouterr()
    assert main(["train", "data=mine", "model=linear", "epochs=1", "batch_size=8", "plots=false", *words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 3, said
    assert not (folder / "outputs").exists()
    return said


def test_doubles_and_labels_in_32_bits_are_taken(folder: Path) -> None:
    words = ["train", "data=mine", "model=linear", "epochs=3", "batch_size=8", "lr=0.1", "plots=false"]
    for more in ([], ["data.in_memory=false"]):
        assert main([*words, *more]) == 0
    found = [results.read(file.parent) for file in sorted((folder / "outputs").rglob("result.json"))]
    assert [result["data"]["train"] for result in found] == [32, 32]
    assert found[0]["metrics"] == found[1]["metrics"] and found[0]["metrics"]["test/accuracy"] > 0.7
    assert main(["evaluate", "run=latest", "plots=false"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.change=[5,2,'nan']"], "1 training value is not a finite number, in 1 of 40 rows (row 5, column 2: nan"),
        (["data.change=[5,2,'inf']", "data.part=test"], "1 test value is not a finite number"),
        (["data.change=[5,2,'inf']", "data.in_memory=false"], "row 5, column 2: inf"),
        (["data.labels=2", "data.part=test"], "1 test target is no class from 0 to 1 (row 3: 2"),
        (["data.labels=0.5"], "1 training target is a fraction, not a class number (row 3: 0.5"),
        (["data.raw=tuple"], "returned a tuple, not a Source"),
        (["data.raw=nothing"], "returned a NoneType, not a Source"),
        (["data.raw=attribute"], "fails: AttributeError: 'dict' object has no attribute 'training'"),
        (["data.raw=pairs"], "`train` of a Source must be bmx.data.arrays.Arrays, got list"),
        (["data.raw=short"], "must have shape (40,)"),
    ],
)
def test_what_cannot_be_right_is_told_with_the_function_that_made_it(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    message = told(folder, capsys, *words)
    assert said in message and "my_own_data.make" in message
    if "attribute" in words[0]:
        line = next(i for i, text in enumerate(MODULE.splitlines(), 1) if "parts.training" in text)
        assert re.search(rf"my_own_data\.py, line {line}\b", message)


def test_a_run_is_not_measured_on_data_that_cannot_be_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=mine", "model=linear", "epochs=1", "batch_size=8", "plots=false"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run=latest", "data=mine", "data.labels=7", "data.part=test"]) == 2
    assert "1 test target is no class from 0 to 1 (row 3: 7" in capsys.readouterr().err
    assert not (folder / "outputs" / "evaluate").exists()


def test_what_is_odd_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "my_own_data.py").read_text().replace("LABELS =", "ROWS[:, 3] = 1.5\nLABELS =")
    (folder / "my_own_data.py").write_text(text)
    assert main(["train", "data=mine", "model=linear", "epochs=2", "batch_size=8", "plots=false"]) == 0
    assert capsys.readouterr().out.count("column 3 of the training set never changes") == 1
