"""The metrics that every run has, and what is known of a metric by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bmx.metrics.accuracy import Accuracy
from bmx.metrics.macro import F1, Precision, Recall
from bmx.metrics.metric import Metric, Task
from bmx.metrics.regression_errors import MeanAbsoluteError, RootMeanSquaredError, RSquared


class Loss(Metric):
    """What is minimised; the objective of the task computes it."""

    name = label = "loss"
    higher_is_better = False


LOSS = Loss()
MAIN: Mapping[Task, Metric] = MappingProxyType({"classification": Accuracy(), "regression": RootMeanSquaredError()})
"""The score that a task is judged by: it chooses the best epoch and the best job, and stands first everywhere."""
STANDARD: tuple[Metric, ...] = (*MAIN.values(), MeanAbsoluteError(), RSquared(), LOSS, Precision(), Recall(), F1())
"""All of them, in the order in which they are shown."""

_BY_NAME = {metric.name: metric for metric in STANDARD}
# What a result keeps of a metric that is not among them.
_KEPT = ("label", "higher_is_better", "percent", "share")


class Noted(Metric):
    """What is known of a metric that cannot be computed here: a name alone, or what a result says of it.

    Args:
        name: without the part of the data.
        facts: what :func:`notes` has kept of it.
    """

    def __init__(self, name: str, facts: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.name = name
        self.label = str(facts.get("label") or "")
        higher = facts.get("higher_is_better")
        self.higher_is_better = higher if isinstance(higher, bool) else None
        self.percent, self.share = facts.get("percent") is True, facts.get("share") is True


def standard(task: Task) -> list[Metric]:
    """The metrics that every model of a task is measured by, the loss left out; the main one first."""
    return [metric for metric in STANDARD if metric.task == task]


def named(name: str, noted: Any = None) -> Metric:
    """What is known of a metric: ``accuracy``, or ``val/accuracy`` with the part of the data before it.

    Args:
        name: of the metric.
        noted: what a result says of others, ``result.get("measures")``.
    """
    last = name.rpartition("/")[2]
    facts = noted.get(last) if isinstance(noted, Mapping) else None
    return _BY_NAME.get(last) or Noted(last, facts if isinstance(facts, Mapping) else {})


def main_of(metrics: Mapping[str, Any]) -> Metric | None:
    """The main score among some numbers by their names without parts; None where there is none."""
    return next((metric for metric in MAIN.values() if metrics.get(metric.name) is not None), None)


def main_names(*parts: str) -> list[str]:
    """The names of the main scores in parts of the data: ``test/accuracy``, ``test/rmse``, ..."""
    return [f"{part}/{metric.name}" for part in parts for metric in MAIN.values()]


def notes(metrics: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """What a result keeps of metrics that only the run's own configuration knows."""
    return {metric.name: facts_of(metric) for metric in metrics}


def facts_of(metric: Metric | type[Metric]) -> dict[str, Any]:
    """How a metric is said and written, and which way is better; of a class what it says of all that are made of it."""
    found = {fact: getattr(metric, fact) for fact in _KEPT}
    return {fact: value for fact, value in found.items() if value is None or isinstance(value, bool | str)}
