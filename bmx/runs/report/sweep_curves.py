"""Plots of a sweep: training curves, hyperparameter importance, and the Pareto front of two objectives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, MaxNLocator

from bmx.metrics.metric import Metric
from bmx.metrics.standard import named
from bmx.runs.metrics_csv import epoch_rows
from bmx.runs.report import numbers
from bmx.runs.report.figure import BLUE, FAINT, INK, ORANGE, PALE_BLUE, SOFT, drawing, head, place, text_width

_LOG_FROM = 20.0  # largest / smallest from which a logarithmic axis shows more


def curves_together(runs: Sequence[tuple[str, list[dict[str, Any]], bool]], path: Path, metric: str) -> None:
    """Draw one metric of many runs over their epochs.

    Args:
        runs: label, rows of metrics.csv, and whether it is among the best, of each run; the best runs last.
        path: the PNG to write.
        metric: the column.
    """
    lines = []
    for label, rows, best in runs:
        points = [(row["epoch"], row[metric]) for row in epoch_rows(rows) if numbers.is_number(row.get(metric))]
        if points:
            lines.append((label, points, best))
    if not lines:
        return
    with drawing(path, 8.0, 4.4) as figure:
        said = metric.replace("/", " ")
        many = f"{len(lines)} runs" if len(lines) > 1 else "1 run"
        head(figure, f"{said.capitalize()} of {many}", "orange: the best, and what cannot be told from it")
        labelled = [label for label, _, best in lines if best][-4:]
        axes = place(figure, 0.75, 0.6, 0.35 + min(3.0, text_width(labelled, 8.0)), 0.85)
        for _, points, best in sorted(lines, key=lambda line: line[2]):
            xs, ys = zip(*points, strict=True)
            look: Any = {"color": ORANGE if best else PALE_BLUE, "linewidth": 1.8 if best else 0.9}
            axes.plot(xs, ys, zorder=3 if best else 2, marker="o" if len(xs) == 1 else "", markersize=3, **look)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y", color=FAINT, linewidth=0.7)
        known = named(metric)
        if known.percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.4g} %"))
        values = sorted(y for _, points, _ in lines for _, y in points)
        if not known.share and values[0] > 0 and values[-1] / values[0] > _LOG_FROM:
            axes.set_yscale("log")
            # What went astray may leave the picture; what is to be compared may not.
            axes.set_ylim(values[0] / 1.2, min(values[-1], 20 * values[len(values) // 2]) * 1.2)
        axes.set_ylim(axes.get_ylim())
        axes.set_xlim(axes.get_xlim())
        taken: float | None = None
        ends = sorted((points[-1], label) for label, points, best in lines if best and label in labelled)
        for (x, y), label in sorted(ends, key=lambda end: end[0][1]):
            height = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
            taken = height if taken is None else max(height, taken + 0.06)
            axes.text(1.02, taken, label, transform=axes.transAxes, color=ORANGE, va="center", fontsize=8)


def importances(shares: dict[str, float], path: Path, objective: str) -> None:
    """Draw how much of the differences between configurations each key explains, as bars.

    Args:
        shares: key to share, adding up to 1.
        path: the PNG to write.
        objective: what differs, in words.
    """
    found = sorted(shares.items(), key=lambda item: item[1])
    left = 0.5 + text_width(list(shares), 9.0)
    with drawing(path, max(6.0, left + 4.0), 1.3 + 0.34 * len(found)) as figure:
        first = found[-1][0]
        head(figure, f"{first} decides most about {objective}", "share of the differences that each key explains")
        axes = place(figure, left, 0.3, 0.8, 0.85)
        names, values = [name for name, _ in found], [share for _, share in found]
        axes.barh(names, values, color=BLUE, height=0.62)
        for at, share in enumerate(values):
            axes.text(share, at, f" {100 * share:.0f} %", va="center", color=INK)
        axes.set_xticks([])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)


def front(
    points: Sequence[tuple[str, float, float, bool]],
    path: Path,
    names: tuple[str, str],
    higher: tuple[bool, bool],
    metric: Metric | None = None,
) -> None:
    """Draw two objectives against each other, and the Pareto front between them.

    Args:
        points: label, first objective, second objective, and whether it is on the front, of each configuration.
        path: the PNG to write.
        names: the objectives in words; the second is the horizontal axis.
        higher: whether more is better, of each.
        metric: what the first one is, where its last word does not say it.
    """
    with drawing(path, 7.2, 4.6) as figure:
        best = sorted((point for point in points if point[3]), key=lambda point: point[2])
        aim = " and ".join(f"{'high' if h else 'low'} {name}" for name, h in zip(names, higher, strict=True))
        head(figure, f"{len(best)} of {len(points)} configurations are on the front", f"wanted: {aim}")
        axes = place(figure, 0.85, 0.6, 0.4, 0.85)
        others = [point for point in points if not point[3]]
        axes.scatter([p[2] for p in others], [p[1] for p in others], s=22, color=PALE_BLUE, zorder=2)
        axes.plot([p[2] for p in best], [p[1] for p in best], color=ORANGE, marker="o", markersize=5, zorder=3)
        xs = [point[2] for point in points]
        if min(xs) > 0 and max(xs) / min(xs) > _LOG_FROM:
            axes.set_xscale("log")
        axes.set_xlabel(names[1])
        axes.set_ylabel(names[0])
        axes.grid(color=FAINT, linewidth=0.7)
        if (metric or named(names[0].rpartition(" ")[2])).percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.4g} %"))
        for label, y, x, _ in best[-6:]:
            offset: Any = {"xytext": (5, -9), "textcoords": "offset points"}
            axes.annotate(numbers.cut(label, 44), (x, y), fontsize=7, color=SOFT, **offset)
