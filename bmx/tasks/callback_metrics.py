"""Names of a run's metrics for Lightning callbacks: bmx's own, and the synonyms that Lightning users write."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bmx.metrics.metric import Metric
from bmx.metrics.standard import LOSS, named
from bmx.tasks.losses import TaskObjective


def names_of(name: str) -> list[str]:
    """A metric's name and its synonyms: ``val/accuracy``, ``val_accuracy``, ``val_acc``."""
    part, _, kind = name.partition("/")
    return [name, *(f"{part}_{word}" for word in (kind, named(kind).short) if word)]


def known_names(objective: TaskObjective, validates: bool) -> dict[str, Metric]:
    """The metrics that a callback may monitor, by every name, bmx's own names first."""
    parts = (["val"] if validates else []) + ["train"]
    own = {f"{part}/{metric.name}": metric for part in parts for metric in (LOSS, objective.scored)}
    return own | {other: metric for name, metric in own.items() for other in names_of(name)[1:]}


def by_every_name(row: Mapping[str, float | int | str]) -> dict[str, Tensor]:
    """The metrics of a row as scalar tensors, under each of their names."""
    return {
        other: torch.tensor(float(value), dtype=torch.float64)
        for name, value in row.items()
        for other in names_of(name)
    }


def step_metrics(
    prefix: str, objective: TaskObjective, loss: Tensor, score: Tensor, targets: Tensor
) -> dict[str, Tensor]:
    """Loss and score of a step under each of their names, on their device: no synchronisation."""
    values = {LOSS.name: loss, objective.scored.name: objective.score(score, len(targets))}
    return {name: value for kind, value in values.items() for name in names_of(f"{prefix}/{kind}")}
