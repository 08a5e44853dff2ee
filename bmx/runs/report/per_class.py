"""Plots the accuracy (recall) of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmx.runs.confusion import Confusion, read
from bmx.runs.report import numbers
from bmx.runs.report.confusion import name_of
from bmx.runs.report.figure import BLUE, INK, PALE_BLUE, SOFT, drawing, head, place, text_width
from bmx.runs.report.interval import wilson

_MOST = 40  # bars in one plot


def draw(test: dict[str, Any], path: Path, noun: str = "test examples") -> None:
    """Draw the accuracy of each class (its recall) as one PNG of bars, the weakest at the top.

    Args:
        test: ``{"confusion": counts (K, K) or a Confusion, "labels": K names}``, as in a result.
        path: the PNG to write.
        noun: what was counted, for the title: "test images".

    Thin lines are 95 % Wilson intervals. Of more than 40 classes the 40 weakest are shown.
    """
    found = read(test)
    confusion, labels = found if found is not None else (Confusion.of_table(np.zeros((0, 0))), [])
    n, right = confusion.samples(), confusion.right()
    share = right / np.maximum(n, 1)
    seen = np.flatnonzero(n)
    order = seen[np.lexsort((-n[seen], share[seen]))].tolist()
    shown = order[:_MOST]
    written = [name_of(labels, i) for i in shown]
    left = text_width(written, 9) + 0.4
    row = 0.25
    width, height = left + 4.3 + 1.75, max(len(shown), 1) * row + 1.35
    overall = float(right.sum() / max(n.sum(), 1))
    with drawing(path, width, height) as figure:
        head(figure, *_title(order, len(shown), labels, share, overall, noun))
        axes = place(figure, left, 0.42, 1.75, 0.85)
        at = list(range(len(shown)))
        axes.barh(at, share[shown], height=0.68, color=PALE_BLUE)
        for y, i in zip(at, shown, strict=True):
            low, high = wilson(int(right[i]), int(n[i]))
            axes.plot([low, high], [y, y], color=BLUE, linewidth=1.1, solid_capstyle="butt")
            axes.plot(share[i], y, "o", color=BLUE, markersize=3.2)
            said = numbers.percent(share[i], int(n[i]))
            axes.text(1.15, y, said, va="center", ha="right", fontsize=9, color=INK)
            axes.text(1.36, y, f"n = {n[i]:,}", va="center", ha="right", fontsize=8, color=SOFT)
        if shown:
            axes.axvline(overall, color=SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.set_yticks(at, written)
        axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
        axes.tick_params(axis="y", length=0, colors=INK)
        axes.tick_params(axis="x", length=3)
        axes.spines["left"].set_visible(False)


def _title(
    order: list[int], shown: int, labels: Sequence[str], share: np.ndarray[Any, Any], overall: float, noun: str
) -> tuple[str, str]:
    if not order:
        return f"No {noun}", ""
    worst, best = order[0], order[-1]
    title = f"Weakest: {name_of(labels, worst)}, {numbers.percent(float(share[worst]))} right"
    note = f"strongest: {name_of(labels, best)}, {numbers.percent(float(share[best]))}; all {noun} (dashed): "
    note += numbers.percent(overall)
    if shown < len(order):
        title = f"The {shown} weakest of {len(order)} classes"
    return title, note
