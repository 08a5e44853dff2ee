"""Plots the training curves of a run: loss and accuracy over epochs, the learning rate where it varies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bmx.metrics.standard import LOSS, STANDARD, named
from bmx.runs.metrics_csv import epoch_rows
from bmx.runs.report import numbers
from bmx.runs.report.figure import BLUE, FAINT, ORANGE, SOFT, drawing, head, place

_SERIES = (("train", SOFT), ("val", BLUE), ("test", ORANGE))
_LOG_FROM = 50.0  # largest / smallest from which a logarithmic axis shows more


def draw(rows: Sequence[dict[str, Any]], path: Path, best_epoch: int | None = None) -> None:
    """Draw the curves of a run as one PNG.

    Args:
        rows: what ``metrics_csv.read_rows`` gives.
        path: the PNG to write.
        best_epoch: the epoch whose weights were kept; None marks the best on the validation set.
    """
    epochs = epoch_rows(list(rows))
    axis = "epoch"
    if not epochs:  # a run that was stopped in its first epoch still has its steps
        epochs, axis = [row for row in rows if "step" in row], "step"
    scores = [metric.name for metric in STANDARD if metric is not LOSS]
    measure = next((m for m in scores if any(f"{s}/{m}" in row for row in epochs for s, _ in _SERIES)), None)
    panels = [LOSS.name, *([measure] if measure else [])]
    rates = _points(epochs, axis, "lr")
    if len({y for _, y in rates}) > 1:
        panels.append("lr")
    best = _best(epochs, axis, measure, best_epoch)
    widths = {1: 6.4, 2: 9.6, 3: 12.0}
    # The learning rate is context, not a result: it gets a narrower panel.
    shares = [0.62 if panel == "lr" else 1.0 for panel in panels]
    width, height, gap, edge = widths[len(panels)], 3.9, 0.95, 0.65
    unit = (width - edge - 0.65 - gap * (len(panels) - 1)) / sum(shares)
    with drawing(path, width, height) as figure:
        head(figure, *_title(epochs, axis, measure, best, best_epoch is not None))
        left = edge
        for panel, share in zip(panels, shares, strict=True):
            axes = place(figure, left, 0.6, width - left - unit * share, 1.05)
            _panel(axes, epochs, axis, panel, best[0] if best else None)
            left += unit * share + gap


def _panel(axes: Axes, epochs: list[dict[str, Any]], axis: str, panel: str, best: float | None) -> None:
    names = [("lr", "", ORANGE)] if panel == "lr" else [(f"{s}/{panel}", s, colour) for s, colour in _SERIES]
    drawn = [(said, colour, points) for name, said, colour in names if (points := _points(epochs, axis, name))]
    values = [y for _, _, points in drawn for _, y in points]
    marker = "o" if len(epochs) <= 30 else ""
    for said, colour, points in drawn:
        xs, ys = zip(*points, strict=True)
        bold = 1.8 if said == "val" else 1.3
        axes.plot(xs, ys, color=colour, linewidth=bold, marker=marker, markersize=3, clip_on=False)
        if said == "val" and best is not None:
            ring: Any = {"markerfacecolor": "white", "markeredgecolor": BLUE, "markeredgewidth": 1.8}
            for x, y in points:
                if x == best:
                    axes.plot(x, y, "o", markersize=8, clip_on=False, zorder=5, **ring)
    metric = named(panel)
    axes.set_title("learning rate" if panel == "lr" else metric.said, loc="left")
    axes.title.set_fontsize(9.5)
    axes.set_xlabel(axis)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if not values:
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color=SOFT)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    if min(values) > 0 and max(values) / min(values) > _LOG_FROM and not metric.share:
        axes.set_yscale("log")
        # Few decades give few ticks: then 2 and 5 of each decade are named too.
        few = max(values) / min(values) < 1000
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    elif metric.share:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.4g} %"))
        low, high = min(values), max(values)
        axes.set_ylim(max(0.0, low - 0.08 * (high - low + 0.01)), min(1.0, high + 0.08 * (high - low + 0.01)))
    else:
        axes.set_ylim(bottom=min(0.0, min(values) * 1.05))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    low_x, high_x = min(x for _, _, p in drawn for x, _ in p), max(x for _, _, p in drawn for x, _ in p)
    if low_x == high_x:
        axes.set_xlim(low_x - 0.5, high_x + 0.5)
        axes.set_xticks([low_x])
    else:
        axes.set_xlim(low_x - 0.02 * (high_x - low_x), high_x)
    _name_lines(axes, [(said, colour, points[-1]) for said, colour, points in drawn if said])


def _name_lines(axes: Axes, ends: list[tuple[str, str, tuple[float, float]]]) -> None:
    """Write each line's name at its end, far enough apart to be read: no legend to look up."""
    heights = {said: axes.transAxes.inverted().transform(axes.transData.transform(end))[1] for said, _, end in ends}
    taken: float | None = None
    for said, colour, _ in sorted(ends, key=lambda end: heights[end[0]]):
        y = heights[said] if taken is None else max(heights[said], taken + 0.075)
        taken = y
        axes.text(1.04, y, said, transform=axes.transAxes, color=colour, va="center", fontsize=9, fontweight="bold")


def _points(rows: list[dict[str, Any]], axis: str, name: str) -> list[tuple[float, float]]:
    return [(row[axis], row[name]) for row in rows if numbers.is_number(row.get(name)) and axis in row]


def _best(
    epochs: list[dict[str, Any]], axis: str, measure: str | None, given: int | None
) -> tuple[float, str, float] | None:
    """Where the best weights were: position, metric, value."""
    for name in ([f"val/{measure}"] if measure else []) + ["val/loss"]:
        points = _points(epochs, axis, name)
        if axis != "epoch" or not points:
            continue
        if given is not None:
            points = [point for point in points if point[0] == given] or points
        sign = 1 if named(name).higher_is_better else -1
        x, y = max(points, key=lambda point: (sign * point[1], -point[0]))
        return x, name, y
    return None


def _title(
    epochs: list[dict[str, Any]], axis: str, measure: str | None, best: tuple[float, str, float] | None, kept: bool
) -> tuple[str, str]:
    if best is not None:
        x, name, y = best
        value = numbers.measured(named(name), y, digits=3)
        many = numbers.counted(len(epochs), "epoch")
        if kept:
            fact = f"Validation {named(name).said} {value} at epoch {x:g}"
            return fact, f"{many}; the ring marks the weights that were kept"
        return f"Best validation {named(name).said} {value}, at epoch {x:g}", many
    for name in ([f"train/{measure}"] if measure else []) + ["train/loss"]:
        points = _points(epochs, axis, name)
        if points:
            value = numbers.measured(named(name), points[-1][1], digits=3)
            return f"Training {named(name).said} {value} after {axis} {points[-1][0]:g}", "no validation set"
    return "No finite value was logged", ""
