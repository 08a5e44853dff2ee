"""Which class was taken for which, kept and drawn for any number of classes in what the samples ask for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.runs import confusion as confusions
from bmx.runs import result as results
from bmx.runs.confusion import WHOLE, Confusion
from bmx.runs.report import plots

answers = st.integers(1, 300).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=80),
    )
)


@given(answers)
def test_pairs_say_what_the_table_says(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    true, predicted = np.array(pairs).T
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (true, predicted), 1)
    found = Confusion.counted(true, predicted, classes)
    assert (found.table() == table).all() and (Confusion.of_table(table).table() == table).all()
    assert (found.samples() == table.sum(1)).all() and (found.guesses() == table.sum(0)).all()
    assert (found.right() == np.diag(table)).all() and found.n == len(pairs)
    assert found.count.min() > 0 and len(found.count) <= len(pairs)
    np.fill_diagonal(table, 0)
    worst = found.worst(3)
    assert worst.count.tolist() == sorted(table[table > 0].tolist(), reverse=True)[:3]


@pytest.mark.parametrize("classes", [2, WHOLE, WHOLE + 1, 2_000, 100_000])
def test_files_grow_with_the_samples_and_the_classes(tmp_path: Path, classes: int) -> None:
    """Kept, read and drawn; no file and no array has a number for each pair of classes."""
    random, n = np.random.default_rng(0), 5_000
    true = random.integers(0, classes, n)
    found = Confusion.counted(true, np.where(random.random(n) < 0.5, true, random.integers(0, classes, n)), classes)
    labels = [f"a class, no. {i}" for i in range(classes)]
    test = confusions.keep(tmp_path, found, labels)
    results.write(tmp_path, {"status": "done", "test": test})
    written = json.loads((tmp_path / "result.json").read_text())["test"]
    again = confusions.read(written, tmp_path)
    assert again is not None and again[1] == labels
    for name in ("true", "predicted", "count"):
        assert (getattr(again[0], name) == getattr(found, name)).all()
    drawn = plots.draw(tmp_path, {"test": written})
    assert [file.name for file in drawn] == ["confusion.png", "per_class.png"]
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir() if file.is_file()}
    assert sizes["result.json"] < 50_000
    if classes > WHOLE:
        assert sizes["result.json"] < 1_000 and sizes["confusion.csv"] < 20 * n and sizes["classes.csv"] < 60 * classes
        assert all(file.stat().st_size < 1_000_000 for file in drawn)


def test_results_from_before_hold_tables_of_any_size(tmp_path: Path) -> None:
    table = (np.eye(300, dtype=int) * 3).tolist()
    found = confusions.read({"confusion": table, "labels": []})
    assert found is not None and found[0].n == 900 and found[0].classes == 300
    assert len(plots.draw(tmp_path, {"test": {"confusion": table, "labels": [str(i) for i in range(300)]}})) == 2


def test_what_is_not_there_is_not_drawn(tmp_path: Path) -> None:
    assert confusions.read({}) is None and confusions.read({"confusion": [], "labels": []}) is None
    assert confusions.keep(tmp_path, None, []) == {"confusion": [], "labels": []}
    lost = {"classes": 200, "confusion_file": "confusion.csv", "classes_file": "classes.csv"}
    assert plots.draw(tmp_path, {"test": lost}) == []
