"""Builds the metrics of the ``metrics`` group and tries them on a few samples before the run."""

from __future__ import annotations

import torch
from omegaconf import DictConfig, OmegaConf

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec
from bmx.engine.build import call
from bmx.engine.signature import bind
from bmx.errors import BmxError, UsageError
from bmx.metrics.metric import Metric, OfCounts, metric_class
from bmx.metrics.standard import STANDARD
from bmx.targets.blame import described, user_line

# Number of samples that a metric is tried on.
_FEW = 8


def make_metrics(groups: DictConfig | None, spec: DataSpec) -> tuple[Metric, ...]:
    """Builds the metrics of a run besides the standard ones of its task.

    Args:
        groups: the group; each of its nodes is a metric, keyed by its name in results.
        spec: of the data.

    Raises:
        UsageError: not a metric, an invalid field, or a metric for another task.
    """
    made = []
    for name, node in ((str(key), node) for key, node in (groups or {}).items()):
        where = f"metrics.{name}"
        if not OmegaConf.is_dict(node):
            raise UsageError(f"{where} must hold keys, not {node!r}", where, f"choose a word: metrics={name}")
        metric_class(bind(node, where), str(node._target_), f"{where}._target_")
        metric = call(node, where)
        _check(metric, name, str(node._target_), spec)
        metric.name = name
        made.append(metric)
    return tuple(made)


def _check(metric: Metric, name: str, target: str, spec: DataSpec) -> None:
    where = f"metrics.{name}"
    if name in {usual.name for usual in STANDARD}:
        raise UsageError(f"every run has a metric '{name}'", where, "give yours another name")
    counts = isinstance(metric, OfCounts) and type(metric).of_counts is not OfCounts.of_counts
    if not counts and type(metric).__call__ in (Metric.__call__, OfCounts.__call__):
        fix = "write its __call__(outputs, targets), which returns a number"
        raise UsageError(f"{target} does not say how it is computed", f"{where}._target_", fix)
    if metric.higher_is_better is None:
        fix = "write higher_is_better = True, or False, in the class"
        raise UsageError(f"{target} does not say whether more is better", f"{where}._target_", fix)
    if metric.task not in (None, spec.task):
        what = f"{name} measures {metric.task}, and {spec.name} is {spec.task}"
        raise UsageError(what, f"metrics={name}", "leave it out, or choose other data")


def try_metrics(metrics: tuple[Metric, ...], spec: DataSpec, arrays: Arrays) -> None:
    """Calls each metric on made-up outputs and a few targets, so that one that fails does so before the training.

    Raises:
        UsageError: with the failing line of the user's code, if there is one.
    """
    targets = arrays.targets[:_FEW].cpu()
    if spec.task == "regression":
        outputs, targets = torch.linspace(0, 1, len(targets), dtype=torch.float64), targets.double()
    else:
        outputs = torch.linspace(0, 1, len(targets) * max(2, spec.num_classes)).reshape(len(targets), -1)
    for metric in metrics:
        where = f"metrics.{metric.name}"
        try:
            float(metric(outputs, targets))
        except BmxError as error:
            raise UsageError(error.what, f"{where}.{error.where}", error.fix) from error
        except Exception as error:
            line = user_line(error)
            what = f"the metric {metric.name} fails: {described(error)}"
            raise UsageError(what, f"{where}; {line}" if line else where, "mend it, or leave it out") from error
