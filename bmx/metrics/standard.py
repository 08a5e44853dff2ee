"""The standard metrics of every run, and a registry of metrics by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bmx.metrics.accuracy import Accuracy
from bmx.metrics.macro import F1, Precision, Recall
from bmx.metrics.metric import Metric, Task
from bmx.metrics.regression_errors import MeanAbsoluteError, RootMeanSquaredError, RSquared


class Loss(Metric):
    """The minimised training objective, which the task computes."""

    name = label = "loss"
    higher_is_better = False


LOSS = Loss()
MAIN: Mapping[Task, Metric] = MappingProxyType({"classification": Accuracy(), "regression": RootMeanSquaredError()})
"""The main metric of each task: it selects the best epoch and the best job, and is listed first everywhere."""
STANDARD: tuple[Metric, ...] = (*MAIN.values(), MeanAbsoluteError(), RSquared(), LOSS, Precision(), Recall(), F1())
"""All standard metrics, in display order."""

_BY_NAME = {metric.name: metric for metric in STANDARD}
# Attributes of other metrics that a result stores.
_KEPT = ("label", "higher_is_better", "percent", "share")


class Noted(Metric):
    """A metric that cannot be computed here, known by its name alone or by the attributes that a result stores.

    Args:
        name: without the split.
        facts: its attributes, as stored by :func:`notes`.
    """

    def __init__(self, name: str, facts: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.name = name
        self.label = str(facts.get("label") or "")
        higher = facts.get("higher_is_better")
        self.higher_is_better = higher if isinstance(higher, bool) else None
        self.percent, self.share = facts.get("percent") is True, facts.get("share") is True


def standard(task: Task) -> list[Metric]:
    """The metrics of every model of a task, without the loss; the main one first."""
    return [metric for metric in STANDARD if metric.task == task]


def named(name: str, noted: Any = None) -> Metric:
    """The metric of a name: ``accuracy``, or ``val/accuracy`` with the split before it.

    Args:
        name: of the metric.
        noted: stored attributes of non-standard metrics, ``result.get("measures")``.
    """
    last = name.rpartition("/")[2]
    facts = noted.get(last) if isinstance(noted, Mapping) else None
    return _BY_NAME.get(last) or Noted(last, facts if isinstance(facts, Mapping) else {})


def main_of(metrics: Mapping[str, Any]) -> Metric | None:
    """The main metric among values by metric name, without splits; None where there is none."""
    return next((metric for metric in MAIN.values() if metrics.get(metric.name) is not None), None)


def main_names(*parts: str) -> list[str]:
    """The names of the main metrics of the given splits: ``test/accuracy``, ``test/rmse``, ..."""
    return [f"{part}/{metric.name}" for part in parts for metric in MAIN.values()]


def notes(metrics: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """The attributes, to be stored in a result, of metrics that only the run's own configuration defines."""
    return {metric.name: facts_of(metric) for metric in metrics}


def facts_of(metric: Metric | type[Metric]) -> dict[str, Any]:
    """The display attributes and direction of a metric; of a class, those shared by its instances."""
    found = {fact: getattr(metric, fact) for fact in _KEPT}
    return {fact: value for fact, value in found.items() if value is None or isinstance(value, bool | str)}
