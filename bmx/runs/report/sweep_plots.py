"""Plots of a sweep's search space: parallel coordinates and heat map of the objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from bmx.metrics.metric import Metric
from bmx.metrics.standard import named
from bmx.runs.report import numbers
from bmx.runs.report.figure import BLUE, FAINT, INK, ORANGE, PALE_BLUE, SOFT, drawing, head, place, text_width

_GOOD = LinearSegmentedColormap.from_list("good", ["#f3f6f9", PALE_BLUE, BLUE, "#173a56"])
_LOG_FROM = 20.0  # largest / smallest from which a logarithmic axis shows more
_MOST_LINES = 300


@dataclass(frozen=True)
class SweepPoint:
    """A configuration of a sweep.

    Attributes:
        keys: the swept keys and their values, as text.
        score: what it is judged by.
        best: whether it is the best or cannot be told from it.
    """

    keys: dict[str, str]
    score: float
    best: bool = False


def parallel(
    points: Sequence[SweepPoint], path: Path, objective: str, higher: bool, metric: Metric | None = None
) -> None:
    """Draw a line for each configuration across one axis for each key, the last axis being the objective.

    Args:
        points: the configurations that have a score.
        path: the PNG to write.
        objective: what the score is, in words.
        metric: what is known of it, where its last word does not say it.
        higher: whether more is better.
    """
    keys = list(dict.fromkeys(key for point in points for key in point.keys))
    shown = sorted(points, key=lambda point: point.score if higher else -point.score)[-_MOST_LINES:]
    scales = [_Scale.of([point.keys.get(key) for point in shown]) for key in keys]
    scores = [point.score for point in shown]
    low, high = min(scores), max(scores)
    width = max(6.4, 1.9 * (len(keys) + 1) + 1.2)
    write = partial(score_text, objective, metric=metric)
    with drawing(path, width, 4.4) as figure:
        best = shown[-1]
        said = " ".join(f"{key}={value}" for key, value in best.keys.items())
        head(
            figure,
            f"Best {objective} {write(best.score)}: {said}",
            "each line is a configuration",
        )
        axes = place(figure, 0.7, 0.55, 1.0, 0.95)
        axes.set_xlim(0, len(keys))
        axes.set_ylim(0, 1)
        axes.axis("off")
        for point in shown:
            share = 0.5 if high == low else (point.score - low) / (high - low)
            good = share if higher else 1 - share
            ys = [scale.at(point.keys.get(key)) for key, scale in zip(keys, scales, strict=True)]
            strong = point is best
            axes.plot(
                [*range(len(keys)), len(keys)],
                [*ys, share],
                color=ORANGE if strong else _GOOD(0.15 + 0.75 * good),
                linewidth=1.9 if strong else 1.0,
                alpha=0.95 if strong else 0.75,
                zorder=3 + good + strong,
                clip_on=False,
            )
        for at, (key, scale) in enumerate(zip(keys, scales, strict=True)):
            _axis(axes, at, key, scale.ticks)
        ends = [(0.0, write(low)), (1.0, write(high))]
        _axis(axes, len(keys), objective, ends if high > low else [(0.5, write(low))])


def _axis(axes: Any, at: float, title: str, ticks: list[tuple[float, str]]) -> None:
    axes.plot([at, at], [0, 1], color=SOFT, linewidth=0.8, zorder=2, clip_on=False)
    axes.text(at, -0.07, title, ha="center", va="top", fontweight="bold", color=INK, clip_on=False)
    for y, text in ticks:
        box: Any = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
        axes.text(at + 0.02, y, text, ha="left", va="center", fontsize=8, color=SOFT, bbox=box, zorder=9)


@dataclass(frozen=True)
class _Scale:
    """Where on an axis from 0 to 1 a value stands."""

    numeric: bool
    log: bool
    low: float
    high: float
    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> _Scale:
        known = [text for text in texts if text is not None]
        found = [as_number(text) for text in known]
        if known and all(number is not None for number in found):
            given = [number for number in found if number is not None]
            low, high = min(given), max(given)
            return cls(True, low > 0 and high / low > _LOG_FROM, low, high, ())
        return cls(False, False, 0, 0, tuple(dict.fromkeys(known)))

    def at(self, text: str | None) -> float:
        """The height of a value; what a configuration does not have lies at the foot."""
        if text is None:
            return -0.03
        if not self.numeric:
            return 0.5 if len(self.words) == 1 else self.words.index(text) / (len(self.words) - 1)
        number = as_number(text) or 0.0
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        if not self.numeric:
            return [(self.at(word), numbers.cut(word, 18)) for word in self.words[:20]]
        if self.low == self.high:
            return [(0.5, f"{self.low:g}")]
        if self.log:
            decades = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            inner = [10.0**power for power in decades]
        else:
            inner = [float(tick) for tick in MaxNLocator(5).tick_values(self.low, self.high)]
        ends = [self.low, self.high]
        ticks = [tick for tick in inner if self.low < tick < self.high]
        apart = [tick for tick in ticks if all(abs(self.at(f"{tick!r}") - self.at(f"{end!r}")) > 0.07 for end in ends)]
        return [(self.at(f"{tick!r}"), f"{tick:.3g}") for tick in [*ends, *apart]]


def heat_map(
    points: Sequence[SweepPoint], path: Path, objective: str, higher: bool, metric: Metric | None = None
) -> None:
    """Draw the objective over two keys as coloured cells with their values.

    Args:
        points: configurations with exactly two keys.
        path: the PNG to write.
        objective: what the score is, in words.
        metric: what is known of it, where its last word does not say it.
        higher: whether more is better.
    """
    first, second = list(dict.fromkeys(key for point in points for key in point.keys))[:2]
    rows, columns = _sorted(points, first), _sorted(points, second)
    cells = {(point.keys.get(first), point.keys.get(second)): point for point in points}
    values = [point.score for point in points]
    low, high = min(values), max(values)
    left = 0.55 + text_width(rows, 9.0)
    # Numbers that would not fit into their cells are left to the colour and to the table.
    fits = len(columns) <= 16
    width, height = left + 0.4 + max(3.6, 0.72 * len(columns)), 1.75 + 0.42 * len(rows)
    with drawing(path, width, max(2.6, height)) as figure:
        best, write = (
            max(points, key=lambda p: p.score if higher else -p.score),
            partial(score_text, objective, metric=metric),
        )
        head(
            figure,
            f"Best {objective} {write(best.score)}",
            f"at {first}={best.keys.get(first)} {second}={best.keys.get(second)}; outlined: it, and what ties with it",
        )
        axes = place(figure, left, 0.62, 0.3, 0.8)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                _cell(axes, x, y, cells.get((row, column)), (low, high), higher, write if fits else None, best)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel(second)
        axes.set_ylabel(first)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)


def _cell(
    axes: Any,
    x: int,
    y: int,
    point: SweepPoint | None,
    ends: tuple[float, float],
    higher: bool,
    write: Callable[..., str] | None,
    best: SweepPoint,
) -> None:
    from matplotlib.patches import Rectangle

    corner = (x - 0.47, y - 0.46)
    if point is None:
        axes.add_patch(Rectangle(corner, 0.94, 0.92, facecolor="white", edgecolor=FAINT, hatch="///", linewidth=0.5))
        return
    low, high = ends
    share = 1.0 if high == low else (point.score - low) / (high - low)
    good = share if higher or high == low else 1 - share
    strong = point is best or point.best
    axes.add_patch(
        Rectangle(
            corner,
            *(0.94, 0.92),
            facecolor=_GOOD(good),
            edgecolor=ORANGE if strong else "none",
            linewidth=2.0 if strong else 0,
            zorder=3 if strong else 2,
        )
    )
    if write is not None:
        colour = "white" if good > 0.55 else INK
        axes.text(x, y, write(point.score, bare=True), ha="center", va="center", color=colour, zorder=4, fontsize=8)


def score_text(objective: str, score: float, bare: bool = False, metric: Metric | None = None) -> str:
    """A score as it is said: accuracies as per cent."""
    if (metric or named(objective.split(" ")[-1])).percent:
        return f"{100 * score:.1f}" + ("" if bare else " %")
    if objective in ("MACs", "parameters", "bytes"):
        return numbers.short(score)
    return numbers.figures(score, 3)


def as_number(text: str) -> float | None:
    """The number that a text is; None if it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _sorted(points: Sequence[SweepPoint], key: str) -> list[str]:
    texts = list(dict.fromkeys(str(point.keys.get(key)) for point in points))
    if all(as_number(text) is not None for text in texts):
        return sorted(texts, key=lambda text: as_number(text) or 0.0)
    return texts
