"""Rank correlation of predictions and targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bmx.metrics.metric import Metric

if TYPE_CHECKING:
    from torch import Tensor


class Spearman(Metric):
    """Spearman's rank correlation (Spearman 1904); ties get the mean of their ranks; nan if either is constant."""

    name, label = "spearman", "Spearman's ρ"
    higher_is_better = True
    task = "regression"

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        first, second = (_ranks(values) for values in (outputs, targets))
        first, second = first - first.mean(), second - second.mean()
        size = math.sqrt(float(first.square().sum() * second.square().sum()))
        return float((first * second).sum()) / size if size > 0 else math.nan


def _ranks(values: Tensor) -> Tensor:
    """The rank of each value, from 1 on, ties their mean rank, float64 (N,)."""
    _, which, count = values.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    ranks: Tensor = (last - (count - 1) / 2)[which]
    return ranks
