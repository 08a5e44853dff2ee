"""Objectives and constraints of a sweep, and how their values are read from a job's result."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bmx.errors import UsageError
from bmx.metrics.metric import Metric
from bmx.metrics.standard import LOSS, MAIN, main_names, named
from bmx.runs.metrics_csv import epoch_rows, read_rows
from bmx.runs.report.numbers import is_number

# Direction of quantities that are not metrics: whether more is better.
_OTHERS = {"throughput": True} | dict.fromkeys(
    ("macs", "parameters", "bytes", "seconds", "total", "latency", "error"), False
)
# The objective for ``auto``: the first of these that a job has.
_USUAL = (*main_names("val"), f"val/{LOSS.name}")
_SHORT = {
    **{metric.name: f"val/{metric.name}" for metric in (*MAIN.values(), LOSS)},
    "macs": "cost/macs",
    "parameters": "cost/parameters",
    "bytes": "cost/bytes",
    "latency": "cost/latency",
    "seconds": "seconds/total",
}
NAMES = tuple(_SHORT)
"""Short names of possible objectives."""


@dataclass(frozen=True)
class Objective:
    """An objective or constraint: a number of a job's result that is to be high or low.

    Attributes:
        name: ``val/accuracy``, ``cost/macs``, ``seconds/total``; ``auto`` until the first job has ended.
        higher: whether more is better.
        bound: it suffices to reach this; None where more is always better.
        own: the metric itself, if it is one of the jobs' additional metrics.
    """

    name: str
    higher: bool
    bound: float | None = None
    own: Metric | None = field(default=None, compare=False)

    @property
    def metric(self) -> Metric:
        """The metric, for label and number format."""
        return self.own or named(self.name)

    def better(self, a: float, b: float) -> bool:
        """Whether a is better than b."""
        return a > b if self.higher else a < b

    def excess(self, reached: float) -> float:
        """Relative violation of the bound, as a fraction of the bound; 0 or less if it is satisfied."""
        assert self.bound is not None
        missed = self.bound - reached if self.higher else reached - self.bound
        return missed / (abs(self.bound) or 1.0)

    @property
    def said(self) -> str:
        """The name in plain text: ``val accuracy``."""
        part, _, measure = self.name.partition("/")
        measure = self.own.said if self.own is not None else measure
        return {"cost/macs": "MACs", "seconds/total": "seconds"}.get(self.name) or (
            measure if part == "cost" else f"{part} {measure}".strip()
        )


AUTO = Objective("auto", True)


def parse(asked: Any, own: Mapping[str, Metric] = MappingProxyType({})) -> tuple[list[Objective], list[Objective]]:
    """Parses ``auto``, a name, or a list of names, each with an optional direction: ``min:val/my_score``.

    A number after the name makes it a constraint: ``[macs,accuracy:0.97]`` requests few MACs at 97 % or more.

    Args:
        asked: the value of ``objective=``.
        own: the additional metrics of the jobs, by their names.

    Returns:
        The objectives, and the constraints.

    Raises:
        UsageError: a test metric, a name of unknown direction, or nothing but constraints.
    """
    names = [asked] if isinstance(asked, str) or asked is None else list(asked)
    named = [_one(str(name), own) for name in names if name is not None] or [AUTO]
    bounds = [one for one in named if one.bound is not None]
    found = [one for one in named if one.bound is None]
    if not found:
        fix = "name what to choose by among those that keep to it: objective=[macs,accuracy:0.97]"
        raise UsageError("a bound alone does not say what is best", f"objective={names}", fix)
    if AUTO in found and len(found) > 1:
        raise UsageError("auto stands for one objective", f"objective={names}", "name each of them")
    if len({one.name for one in found}) < len(found):
        raise UsageError("an objective is named twice", f"objective={names}", "name each of them once")
    return found, bounds


def _one(text: str, own: Mapping[str, Metric] = MappingProxyType({})) -> Objective:
    text, bound = _bound(text)
    direction, colon, name = text.rpartition(":")
    name = name.strip()
    name = f"val/{name}" if name in own else _SHORT.get(name, name.replace("cost.", "cost/"))
    metric = own.get(name.removeprefix("val/"))
    where = f"objective={text}"
    if name == "auto" and bound is None:
        return AUTO
    if name.split("/")[0] == "test":
        raise UsageError(
            "the test set must not choose: a result chosen by it says nothing about new data",
            where,
            f"choose by the validation set: objective={name.replace('test/', 'val/', 1)}",
        )
    if colon:
        if direction not in ("min", "max"):
            raise UsageError(f"no direction '{direction}'", where, f"write objective=min:{name} or max:{name}")
        return Objective(name, direction == "max", bound, metric)
    last = re.split(r"[/_]", name)[-1]
    higher = (metric or named(last)).higher_is_better
    higher = _OTHERS.get(last) if higher is None else higher
    if higher is not None:
        return Objective(name, higher, bound, metric)
    raise UsageError(f"is more of '{name}' better, or less?", where, f"write objective=max:{name} or min:{name}")


def _bound(text: str) -> tuple[str, float | None]:
    """The text before a number at its end, and the number."""
    name, _, number = text.rpartition(":")
    try:
        bound = float(number)
    except ValueError:
        return text, None
    if not name or not math.isfinite(bound):
        raise UsageError(f"no bound '{number}'", f"objective={text}", "write a name and a number: accuracy:0.97")
    return name, bound


def settle(asked: list[Objective], results: Iterable[dict[str, Any]]) -> list[Objective]:
    """Resolves ``auto`` from the existing results; unchanged if none has been validated."""
    if asked != [AUTO]:
        return asked
    for result in results:
        metrics = result.get("metrics") or {}
        for name in _USUAL:
            if is_number(metrics.get(name)):
                return [_one(name)]
    return asked


def value(run: Path, result: dict[str, Any], objective: Objective) -> float | None:
    """A job's value of an objective; of a validation metric that of the epoch of the ``best`` checkpoint.

    Args:
        run: its run directory.
        result: its result.json.
        objective: the objective to read.
    """
    group, _, measure = objective.name.partition("/")
    best = result.get("best") or {}
    if best.get("metric") == objective.name and is_number(best.get("value")):
        return float(best["value"])
    if group == "val" and is_number(best.get("epoch")):
        rows = epoch_rows(read_rows(run / "metrics.csv")) if (run / "metrics.csv").exists() else []
        at_best = next((row for row in rows if row["epoch"] == best["epoch"]), {})
        if is_number(at_best.get(objective.name)):
            return float(at_best[objective.name])
    metrics, costs = result.get("metrics") or {}, result.get(group) or {}
    for found in (metrics.get(objective.name), costs.get(measure) if isinstance(costs, dict) else None):
        if is_number(found):
            return float(found)
    return None
