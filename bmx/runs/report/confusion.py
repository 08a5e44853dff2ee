"""Plots the confusion matrix of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from bmx.runs.confusion import Confusion, read
from bmx.runs.report import numbers
from bmx.runs.report.figure import INK, ORANGE, SOFT, drawing, head, place, text_width

_RIGHT = LinearSegmentedColormap.from_list("right", ["#ffffff", "#c8d9e6", "#2f6690"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#ffffff", "#f3cdb5", "#cf6a32", "#8f3d12"])
_NUMBERS_UP_TO = 20  # classes, beyond which counts are too small to read
_NAMES_UP_TO = 120
_PAIRS = 40  # rows, where the classes are too many for a table
_ROW = 0.25  # inches


def draw(test: dict[str, Any], path: Path, noun: str = "test examples") -> None:
    """Draw the confusion matrix as one PNG: rows are the true classes, columns the predicted ones.

    With more than 120 classes the 40 most frequent confusions are drawn.

    Args:
        test: ``{"confusion": counts (K, K) or a Confusion, "labels": K names}``, as in a result.
        path: the PNG to write.
        noun: what was counted, for the title: "test images".

    Right answers are blue and wrong ones orange, shaded by their share of the row; by the square root of it, so that
    1 % can be seen. Raises ValueError where the matrix is not square.
    """
    found = read(test)
    confusion, given = found if found is not None else (Confusion.of_table(np.zeros((0, 0))), [])
    if confusion.classes > _NAMES_UP_TO:
        _draw_pairs(confusion, given, path, noun)
        return
    counts = confusion.table()
    k = len(counts)
    labels = names(given, k)
    font = 9.0 if k <= 12 else 8.0 if k <= _NUMBERS_UP_TO else 6.5 if k <= 50 else 5.0
    cell = max(0.5, 2.6 / max(k, 1)) if k <= 12 else 0.42 if k <= _NUMBERS_UP_TO else max(6.5, min(0.085 * k, 9.0)) / k
    longest = text_width([label for label in labels if label], font)
    # Short names lie flat under their columns; others stand upright.
    flat = longest < cell * 0.9
    # Many names are written once, at the rows: the columns are in the same order.
    below = k <= 50 or not all(labels)
    left, bottom = longest + 0.62, (0.2 if flat or not below else longest + 0.1) + 0.42
    side = cell * max(k, 1)
    width, height = max(left + side + 0.3, 5.4), bottom + side + 0.85
    with drawing(path, width, height) as figure:
        head(figure, *_title(confusion, given, noun))
        axes = place(figure, left, bottom, width - left - side, 0.8)
        axes.imshow(cell_colours(counts), interpolation="nearest", aspect="equal")
        _grid(axes, k)
        _name(axes, labels, font, cell, flat, below)
        said = "predicted" if below else "predicted, in the order of the rows"
        figure.text((left + side / 2) / width, 0.2 / height, said, color=SOFT, ha="center")
        figure.text(0.27 / width, (bottom + side / 2) / height, "true", color=SOFT, va="center", rotation=90)
        if k <= _NUMBERS_UP_TO:
            _numbers(axes, counts, font)


def _draw_pairs(confusion: Confusion, labels: list[str], path: Path, noun: str) -> None:
    worst, samples = confusion.worst(_PAIRS), confusion.samples()
    rows = list(zip(worst.true.tolist(), worst.predicted.tolist(), worst.count.tolist(), strict=True))
    written = [(name_of(labels, i), name_of(labels, j)) for i, j, _ in rows]
    columns = [max(0.7, text_width([pair[side] for pair in written], 9) + 0.35) for side in (0, 1)]
    edges = [0.25, 0.25 + columns[0], 0.25 + sum(columns)]
    width, height = max(edges[2] + 2.5, 5.4), (len(rows) + 1) * _ROW + 1.1
    with drawing(path, width, height) as figure:
        title, note = _title(confusion, labels, noun)
        if confusion.worst(_PAIRS + 1).count.size > len(rows):
            note = f"the {len(rows)} most frequent confusions of {confusion.classes:,} classes"
        head(figure, title, note)
        axes = place(figure, 0, 0, 0, 0)
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        top = height - 0.85
        if rows:
            for x, heading in zip(edges, ("true", "taken for", "times, and of so many of the true class"), strict=True):
                axes.text(x, top, heading, fontsize=8, color=SOFT, va="center")
        for number, ((i, _, count), (true, predicted)) in enumerate(zip(rows, written, strict=True)):
            y = top - (number + 1) * _ROW
            axes.text(edges[0], y, true, fontsize=9, va="center", color=INK)
            axes.text(edges[1], y, predicted, fontsize=9, va="center", color=ORANGE)
            axes.text(edges[2], y, f"{count:,} of {int(samples[i]):,}", fontsize=9, va="center", color=INK)


def name_of(labels: Sequence[Any], number: int) -> str:
    """The name of one class, cut to 22 characters; its number where it has none."""
    return numbers.cut(str(labels[number]), 22) if number < len(labels) else str(number)


def names(labels: Sequence[Any], k: int) -> list[str]:
    """K class names, cut to 22 characters; numbers where there are none, and few of them where there are very many."""
    named = [numbers.cut(str(label), 22) for label in labels]
    if len(named) == k and k <= _NAMES_UP_TO:
        return named
    every = 1 if k <= _NAMES_UP_TO else 10 ** (len(str(k)) - 2)
    return [str(i) if i % every == 0 else "" for i in range(k)]


def cell_colours(counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """RGBA (K, K, 4) of the cells of a confusion matrix (K, K), the deeper the larger their share of the row."""
    shares = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    colours = np.asarray(_WRONG(shares))
    diagonal = np.arange(len(counts))
    colours[diagonal, diagonal] = _RIGHT(shares[diagonal, diagonal])
    return (255 * colours).round().astype(np.uint8)  # bytes are drawn in half the time


def _grid(axes: Any, k: int) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    if k <= 50:
        axes.hlines(np.arange(k + 1) - 0.5, -0.5, k - 0.5, color="#e8ebee", linewidth=0.6)
        axes.vlines(np.arange(k + 1) - 0.5, -0.5, k - 0.5, color="#e8ebee", linewidth=0.6)
    else:
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color("#d5dae0")
    axes.set_xlim(-0.5, k - 0.5)
    axes.set_ylim(k - 0.5, -0.5)


def _name(axes: Any, labels: list[str], font: float, cell: float, flat: bool, below: bool) -> None:
    # As text, not as ticks: drawing a hundred of those takes half as long again.
    axes.set_xticks([])
    axes.set_yticks([])
    k, gap = len(labels), 0.06 / cell
    for i, label in enumerate(labels):
        if label:
            axes.text(-0.5 - gap, i, label, ha="right", va="center", fontsize=font)
            turned = {"ha": "center", "va": "top", "rotation": 0 if flat else 90}
            if below:
                axes.text(i, k - 0.5 + gap, label, fontsize=font, **turned)


def _numbers(axes: Any, counts: np.ndarray[Any, Any], font: float) -> None:
    shares = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    for i, j in zip(*np.nonzero(counts), strict=True):
        dark = shares[i, j] > (0.62 if i == j else 0.55)
        text = f"{counts[i, j]:,}" if counts[i, j] < 10_000 else numbers.short(int(counts[i, j])).replace(" ", "")
        size = font - (1.0 if len(text) > 4 else 0.0)
        axes.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if dark else INK)


def _title(confusion: Confusion, labels: Sequence[Any], noun: str) -> tuple[str, str]:
    n, right = confusion.n, int(confusion.right().sum())
    title = f"{numbers.percent(right / n, n)} of {n:,} {noun} right" if n else f"No {noun}"
    worst = confusion.worst(1)
    if not worst.count.size:
        return title, "none was taken for another class" if n else ""
    true, predicted, times = (int(part[0]) for part in (worst.true, worst.predicted, worst.count))
    said = [name_of(labels, number) for number in (true, predicted)]
    return title, f"most often: {said[0]} taken for {said[1]}, {numbers.counted(times, 'time')}"
