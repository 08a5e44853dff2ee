"""Plots the samples of largest loss with input, target and prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmx.runs.mistake import Mistake
from bmx.runs.report import numbers
from bmx.runs.report.figure import INK, ORANGE, SOFT, drawing, head, place, text_width

MOST = 36
_LINE = 0.245  # inches between lines of text


def draw(
    mistakes: Sequence[Mistake],
    path: Path,
    of: int | None = None,
    noun: str = "test examples",
    count: int | None = None,
) -> None:
    """Draw the mistakes of greatest loss as one PNG: up to 36 images, or lines of text.

    Args:
        mistakes: all of them, in any order; or the 36 of greatest loss.
        path: the PNG to write.
        of: how many examples there were, right and wrong, for the title.
        noun: what they are: "test images".
        count: of all of them, where ``mistakes`` are fewer.
    """
    count = len(mistakes) if count is None else count
    worst = sorted(mistakes, key=_loss, reverse=True)[:MOST]
    many = f"{count:,} of {of:,} {noun}" if of is not None else f"{count:,} {noun}"
    title = f"{many} wrong"
    if not worst:
        with drawing(path, 6.4, 1.2) as figure:
            head(figure, title, "not one mistake")
        return
    shown = f"the {len(worst)} of greatest loss" if len(worst) < count else "all of them, greatest loss first"
    subtitle = f"{shown}; true → predicted, and how sure the model was"
    if all(isinstance(mistake.target, float) for mistake in worst):  # regression: all are off, some by more
        among = f" in {of:,} {noun}" if of is not None else ""
        title, subtitle = f"The {len(worst)} largest errors{among}", "true → predicted, and the difference"
    if all(isinstance(mistake.input, np.ndarray) for mistake in worst):
        _images(worst, path, title, subtitle)
    else:
        _lines(worst, path, title, subtitle)


def _images(worst: list[Mistake], path: Path, title: str, subtitle: str) -> None:
    pictures = [_rgb(mistake.input) for mistake in worst]
    tall, wide = (max(p.shape[i] for p in pictures) for i in (0, 1))
    across = min(6 if len(worst) > 12 else 4, len(worst)) if len(worst) > 3 else len(worst)
    down = math.ceil(len(worst) / across)
    answers = [_answer(mistake) for mistake in worst]
    side = 1.12
    # One line of caption where it fits, else the target above the prediction.
    one_line = max(text_width([f"{a} → {b}  {c}"], 8) for a, b, c in answers) < side + 0.2
    cell_wide, cell_tall = side + 0.24, side * tall / wide + (0.33 if one_line else 0.62)
    width, height = max(across * cell_wide + 0.35, 5.4), down * cell_tall + 1.0
    with drawing(path, width, height) as figure:
        head(figure, title, subtitle)
        # All in one pair of axes, in inches: thirty-six pairs would take ten times as long.
        axes = place(figure, 0, 0, 0, 0)
        axes.set_axis_off()
        for i, (picture, (target, predicted, sure)) in enumerate(zip(pictures, answers, strict=True)):
            left = 0.25 + (i % across) * cell_wide
            top = height - 0.78 - (i // across) * cell_tall
            scale = side / wide
            box = (left, left + picture.shape[1] * scale, top - picture.shape[0] * scale, top)
            axes.imshow(picture, extent=box, interpolation="nearest" if wide <= 96 else "antialiased", aspect="auto")
            axes.plot(
                [box[0], box[1], box[1], box[0], box[0]],
                [box[2], box[2], box[3], box[3], box[2]],
                color="#d5dae0",
                linewidth=0.6,
            )
            under = top - tall * scale - 0.05
            most = int(side * 72 / 8 / 0.58)
            if one_line:
                axes.text(left, under, f"{target} → {predicted}", fontsize=9, va="top", fontweight="bold")
                axes.text(left + side, under, sure, fontsize=8, va="top", ha="right", color=SOFT)
            else:
                axes.text(left, under, numbers.cut(target, most), fontsize=8, va="top")
                axes.text(
                    left, under - 0.15, "→ " + numbers.cut(predicted, most - 2), fontsize=8, va="top", color=ORANGE
                )
                axes.text(left, under - 0.31, sure, fontsize=7.5, va="top", color=SOFT)
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)


def _lines(worst: list[Mistake], path: Path, title: str, subtitle: str) -> None:
    answers = [tuple(numbers.cut(part, 22) for part in _answer(mistake)) for mistake in worst]
    inputs = [numbers.cut(" ".join(str(mistake.input).split()), 70) for mistake in worst]
    columns = [max(0.7, text_width(list(part), 9) + 0.3) for part in ([a[0] for a in answers], [a[1] for a in answers])]
    seen = max(1.0, 1.12 * text_width(inputs, 9) + 0.3)  # bold is wider
    width, height = max(0.25 + seen + sum(columns) + 0.75, 5.4), len(worst) * _LINE + 1.25
    edges = [0.25, 0.25 + seen, 0.25 + seen + columns[0], 0.25 + seen + sum(columns) + 0.5]
    with drawing(path, width, height) as figure:
        head(figure, title, subtitle)
        axes = place(figure, 0, 0, 0, 0)
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        top = height - 0.85
        for x, heading, side in zip(edges, ("input", "true", "predicted", ""), ("left",) * 3 + ("right",), strict=True):
            axes.text(x, top, heading, fontsize=8, color=SOFT, ha=side, va="center")
        axes.plot([0.25, edges[3]], [top - 0.13] * 2, color="#d5dae0", linewidth=0.7)
        for i, (text, (target, predicted, sure)) in enumerate(zip(inputs, answers, strict=True)):
            y = top - 0.28 - i * _LINE
            axes.text(edges[0], y, text, fontsize=9, va="center", fontweight="bold")
            axes.text(edges[1], y, target, fontsize=9, va="center", color=INK)
            axes.text(edges[2], y, predicted, fontsize=9, va="center", color=ORANGE)
            axes.text(edges[3], y, sure, fontsize=8, va="center", ha="right", color=SOFT)


def _answer(mistake: Mistake) -> tuple[str, str, str]:
    target, predicted = (
        numbers.figures(value, 3) if isinstance(value, float) else str(value)
        for value in (mistake.target, mistake.predicted)
    )
    if numbers.is_number(mistake.probability):
        sure = f"{100 * mistake.probability:.0f} %"
        return target, predicted, ">99 %" if sure == "100 %" and mistake.probability < 1 else sure
    if isinstance(mistake.target, float) and isinstance(mistake.predicted, int | float):
        off = mistake.predicted - mistake.target
        return target, predicted, f"{'+' if off > 0 else ''}{numbers.figures(off, 3)}"
    return target, predicted, ""


def _loss(mistake: Mistake) -> float:
    return mistake.loss if not math.isnan(mistake.loss) else math.inf


def _rgb(image: Any) -> np.ndarray[Any, Any]:
    """The image as (H, W, 3) uint8, grey repeated, a fourth or further channel left out."""
    if image.ndim == 2:
        image = image[:, :, None]
    if image.shape[2] in (1, 2):
        image = image[:, :, :1].repeat(3, axis=2)
    return np.ascontiguousarray(image[:, :, :3]).astype(np.uint8, copy=False)
