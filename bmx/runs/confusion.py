"""Sparse confusion matrix: the pairs of true and predicted class that occur, at most one per sample.

The dense matrix has a cell for every pair of classes: a million of them for a thousand classes, nearly all 0. With few
classes it is written into ``result.json``, else the pairs go into ``confusion.csv`` and the classes into
``classes.csv`` next to it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmx.files.atomic import replacing

# Classes up to which a result holds the dense matrix.
WHOLE = 100
PAIRS, CLASSES = "confusion.csv", "classes.csv"

Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Confusion:
    """A sparse confusion matrix.

    Args:
        classes: their number, K.
        true: of each pair that occurs, the true class, int64 (P,).
        predicted: the class it was taken for.
        count: how often, at least once.
    """

    classes: int
    true: Numbers
    predicted: Numbers
    count: Numbers

    @classmethod
    def counted(cls, true: Numbers, predicted: Numbers, classes: int) -> Confusion:
        """From the classes of N samples, each of shape (N,)."""
        pairs, count = np.unique(true.astype(np.int64) * classes + predicted.astype(np.int64), return_counts=True)
        return cls(classes, pairs // max(classes, 1), pairs % max(classes, 1), count)

    @classmethod
    def of_table(cls, table: Any) -> Confusion:
        """From counts (K, K), rows are the true classes. Raises ValueError where it is not square."""
        counts = np.asarray(table, dtype=np.int64)
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
            raise ValueError(f"a confusion matrix must have shape (K, K), got {counts.shape}")
        true, predicted = np.nonzero(counts)
        return cls(len(counts), true, predicted, counts[true, predicted])

    def table(self) -> Numbers:
        """The dense counts (K, K); for few classes."""
        counts = np.zeros((self.classes, self.classes), dtype=np.int64)
        counts[self.true, self.predicted] = self.count
        return counts

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.count.sum())

    def samples(self) -> Numbers:
        """Number of samples of each class, int64 (K,)."""
        return self._sums(self.true, self.count)

    def guesses(self) -> Numbers:
        """How often each class was predicted, int64 (K,)."""
        return self._sums(self.predicted, self.count)

    def right(self) -> Numbers:
        """How often each class was predicted correctly (K,)."""
        hits = self.true == self.predicted
        return self._sums(self.true[hits], self.count[hits])

    def _sums(self, of: Numbers, count: Numbers) -> Numbers:
        # As floats these are exact up to 2^53 samples.
        return np.bincount(of, count, minlength=self.classes).astype(np.int64)

    def worst(self, most: int) -> Confusion:
        """The pairs of different classes that occur most often, most often first; of equals the first classes."""
        wrong = np.flatnonzero(self.true != self.predicted)
        order = wrong[np.argsort(-self.count[wrong], kind="stable")][:most]
        return Confusion(self.classes, self.true[order], self.predicted[order], self.count[order])


def keep(run: Path, confusion: Confusion | None, labels: Sequence[str]) -> dict[str, Any]:
    """The confusion entries of ``test`` in ``result.json``; with many classes the rest goes into files of the run.

    Args:
        run: the run directory.
        confusion: None for regression.
        labels: names of the classes, or none.
    """
    if confusion is None:
        return {"confusion": [], "labels": []}
    if confusion.classes <= WHOLE:
        return {"confusion": confusion.table().tolist(), "labels": list(labels)}
    with replacing(run / PAIRS, newline="") as file:
        rows = zip(confusion.true.tolist(), confusion.predicted.tolist(), confusion.count.tolist(), strict=True)
        csv.writer(file).writerows([("true", "predicted", "count"), *rows])
    names = list(labels) or map(str, range(confusion.classes))
    counts = (confusion.samples(), confusion.guesses(), confusion.right())
    with replacing(run / CLASSES, errors="backslashreplace", newline="") as file:
        rows_of = zip(range(confusion.classes), names, *(c.tolist() for c in counts), strict=True)
        csv.writer(file).writerows([("class", "label", "samples", "predicted", "right"), *rows_of])
    return {"classes": confusion.classes, "confusion_file": PAIRS, "classes_file": CLASSES}


def read(test: dict[str, Any], run: Path | None = None) -> tuple[Confusion, list[str]] | None:
    """The confusion matrix and class names of a ``result.json``; None where there are none.

    Args:
        test: what :func:`keep` returned, or a dense matrix of any size, as in older results.
        run: the run directory, for the parts in files.
    """
    table, labels = test.get("confusion"), [str(label) for label in test.get("labels") or ()]
    if isinstance(table, Confusion):
        return table, labels
    if table is not None and len(table):
        return Confusion.of_table(table), labels
    if run is None or not test.get("confusion_file") or not (run / str(test["confusion_file"])).exists():
        return None
    with (run / str(test["confusion_file"])).open(encoding="utf-8", newline="") as file:
        pairs = np.array([[int(number) for number in row] for row in list(csv.reader(file))[1:]], dtype=np.int64)
    named = run / str(test.get("classes_file") or CLASSES)
    if named.exists():
        with named.open(encoding="utf-8", newline="") as file:
            labels = [row[1] for row in list(csv.reader(file))[1:]]
    pairs = pairs.reshape(-1, 3)
    return Confusion(int(test["classes"]), pairs[:, 0], pairs[:, 1], pairs[:, 2]), labels
