"""Accuracy against cost: which compressions are worth having, and which another beats in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bmx.runs.report import numbers
from bmx.runs.report.bench import milliseconds

Point = dict[str, Any]

_SPARSE = "weights that are not zero"
_COSTS = {"size of the weights": "bytes", "MACs": "macs", _SPARSE: "nonzero_parameters"}


def dominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (cost, score), whether another costs no more and scores no less, and is better in one of them."""
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
    if numbers.is_number(metrics.get("accuracy")):
        return 100 * float(metrics["accuracy"])
    return -float(metrics["rmse"]) if numbers.is_number(metrics.get("rmse")) else None


def _tick(show: Callable[[Any], str], value: float, _: Any) -> str:
    return show(value)


def draw(points: Sequence[Point], path: Path, split: str = "test") -> None:
    """Draw accuracy against each cost, a panel for each; points that another beats in both are pale.

    Args:
        points: each with a ``name`` and what was measured ``after``; those without are left out.
        path: the PNG.
        split: what the accuracy was measured on.
    """
    from bmx.runs.report.figure import BLUE, FAINT, INK, SOFT, drawing, head, place

    known = [p for p in points if p.get("after") and score(p["after"]) is not None]
    if not known:
        return
    panels = list(dict.fromkeys(name for p in known for name in costs(p["after"])))
    if all(p["after"]["cost"].get("nonzero_parameters") == p["after"]["cost"].get("parameters") for p in known):
        panels.remove(_SPARSE)
    panels = panels[:5]
    width, height = 0.8 + 3.6 * len(panels), 4.2
    with drawing(path, width, height) as figure:
        best = max(known, key=lambda p: score(p["after"]) or 0.0)
        head(figure, f"{len(known)} compressions: accuracy against cost",
             f"on the {split} set; pale: another is better in both. The most accurate: {best['name']}")  # fmt: skip
        for number, name in enumerate(panels):
            left = 0.75 + 3.6 * number
            axes = place(figure, left, 0.6, width - left - 2.7, 1.05)
            shown = [(costs(p["after"]).get(name), score(p["after"]), p["name"]) for p in known]
            there = [(cost, value, said) for cost, value, said in shown if cost is not None and value is not None]
            beaten = dominated([(cost, value) for cost, value, _ in there])
            for (cost, value, said), pale in zip(there, beaten, strict=True):
                axes.plot([cost], [value], "o", color=FAINT if pale else BLUE, markersize=6)
                if not pale:
                    axes.annotate(
                        said, (cost, value), textcoords="offset points", xytext=(5, -9), fontsize=7, color=INK
                    )
            axes.set_xscale("log")
            show = milliseconds if "batch" in name else numbers.size if name.startswith("size") else numbers.short
            axes.xaxis.set_major_formatter(partial(_tick, show))
            axes.xaxis.set_minor_formatter("")
            axes.set_title(name, loc="left", fontsize=9.5)
            axes.grid(color=FAINT, linewidth=0.7)
            if number == 0:
                axes.set_ylabel("accuracy, %", color=SOFT)
