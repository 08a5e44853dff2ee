"""Pareto plot of accuracy against cost for compressions, with dominated ones marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.metrics.standard import main_of
from bmx.runs.report import numbers
from bmx.runs.report.bench import milliseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = dict[str, Any]

_WIDE = 4  # costs that differ by more than so many times are drawn on a logarithmic axis
_LONGEST, _MOST = 42, 13  # characters of a line that says which number is what, and lines

_SPARSE = "weights that are not zero"
_COSTS = {"size of the weights": "bytes", "MACs": "macs", _SPARSE: "nonzero_parameters"}


def dominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Pareto dominance: for each (cost, score), whether another is no worse in both and better in one of them."""
    return [
        any(
            other[0] <= point[0] and other[1] >= point[1] and (other[0] < point[0] or other[1] > point[1])
            for other in points
        )
        for point in points
    ]


def costs(after: dict[str, Any]) -> dict[str, float]:
    """What a model costs, by name; what was not measured is not there."""
    found = {name: after["cost"].get(key) for name, key in _COSTS.items()}
    for timing in after.get("timings", []):
        found[f"{timing['engine']}, batch {timing['batch_size']}"] = timing.get("median")
    return {name: float(value) for name, value in found.items() if numbers.is_number(value) and value > 0}


def score(after: dict[str, Any]) -> float | None:
    """Accuracy in per cent, or minus the RMSE."""
    metrics = after.get("metrics") or {}
    metric = main_of(metrics)
    if metric is None or not numbers.is_number(metrics[metric.name]):
        return None
    value = float(metrics[metric.name]) * (100 if metric.percent else 1)
    return value if metric.higher_is_better else -value


def _tick(show: Callable[[Any], str], value: float, _: Any) -> str:
    return show(value)


def draw(points: Sequence[Point], path: Path, split: str = "test") -> None:
    """Draw accuracy against each cost, a panel for each; points that another beats in both are pale.

    Args:
        points: each with a ``name`` and what was measured ``after``; those without are left out.
        path: the PNG.
        split: what the accuracy was measured on.
    """
    from bmx.runs.report.figure import SOFT, drawing, head, place, text_width

    known = [p for p in points if p.get("after") and score(p["after"]) is not None]
    if not known:
        return
    known.sort(key=lambda p: score(p["after"]) or 0.0, reverse=True)
    panels = _panels(known)
    key = 0.6 + text_width([_shortened(p["name"]) for p in known], 8)
    width, height = 0.8 + 3.3 * len(panels) + key, 4.2
    on_some_front: set[int] = set()
    with drawing(path, width, height) as figure:
        head(figure, f"{len(known)} compressions: accuracy against cost",
             f"on the {split} set; pale: another is better in both. The most accurate: {known[0]['name']}")  # fmt: skip
        for number, name in enumerate(panels):
            left = 0.75 + 3.3 * number
            axes = place(figure, left, 0.6, width - left - 2.6, 1.05)
            costs_of = [(costs(p["after"]).get(name), score(p["after"])) for p in known]
            there = {i: (c, value) for i, (c, value) in enumerate(costs_of) if c is not None and value is not None}
            on_some_front |= _panel(axes, name, there)
            if number == 0:
                axes.set_ylabel("accuracy, %", color=SOFT)
        _key(figure, width - key, {i: known[i]["name"] for i in sorted(on_some_front)})


def _panels(known: Sequence[Point]) -> list[str]:
    """The costs that are drawn, at most five."""
    found = list(dict.fromkeys(name for p in known for name in costs(p["after"])))
    if all(p["after"]["cost"].get("nonzero_parameters") == p["after"]["cost"].get("parameters") for p in known):
        found.remove(_SPARSE)
    return found[:5]


def _panel(axes: Axes, name: str, there: dict[int, tuple[float, float]]) -> set[int]:
    """One cost: a point for each model, numbered where no other beats it; gives those."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    from bmx.runs.report.figure import BLUE, FAINT, INK

    beaten = dominated(list(there.values()))
    front = {i for i, pale in zip(there, beaten, strict=True) if not pale}
    for i, point in there.items():
        axes.plot(*point, "o", color=BLUE if i in front else FAINT, markersize=6, zorder=3 if i in front else 2)
        if i in front:
            axes.annotate(str(i + 1), point, textcoords="offset points", xytext=(-4, 5), fontsize=7.5, color=INK)
    least, most = (choose(cost for cost, _ in there.values()) for choose in (min, max))
    show = milliseconds if "batch" in name else numbers.size if name.startswith("size") else numbers.short
    if most > _WIDE * least:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 100 * least else (1,)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(partial(_tick, show))
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.08, y=0.15)
    axes.set_title(name, loc="left", fontsize=9.5)
    axes.grid(color=FAINT, linewidth=0.7)
    return front


def _key(figure: Figure, left: float, names: dict[int, str]) -> None:
    """What the numbers mean, ``left`` inches from the edge."""
    from bmx.runs.report.figure import INK

    width, height = figure.get_size_inches()
    lines = [f"{i + 1}  {_shortened(name)}" for i, name in names.items()]
    if len(lines) > _MOST:
        lines = [*lines[: _MOST - 1], f"and {len(lines) - _MOST + 1} more"]
    for place, line in enumerate(lines):
        figure.text(left / width, 1 - (1.05 + 0.2 * place) / height, line, fontsize=8, color=INK, va="top")


def _shortened(name: str) -> str:
    """The end of a long name, which tells it from its neighbours."""
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]
