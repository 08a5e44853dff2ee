"""Chance-corrected agreement of predicted and true classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.metrics.metric import OfCounts

if TYPE_CHECKING:
    from torch import Tensor


class CohenKappa(OfCounts):
    """Cohen's kappa (Cohen 1960): 1 for perfect, 0 for chance agreement; nan where all are of one class."""

    name, label = "cohen_kappa", "Cohen's kappa"
    higher_is_better = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        n = samples.sum()
        chance = float((samples * guesses).sum() / n**2)
        return (float(right.sum() / n) - chance) / (1 - chance) if chance < 1 else float("nan")


class MatthewsCorrelation(OfCounts):
    """The multiclass Matthews correlation of predictions and targets (Gorodkin 2004); 0 where either is constant."""

    name, label = "mcc", "Matthews correlation"
    higher_is_better = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        n = samples.sum()
        spread = (n**2 - guesses.square().sum()) * (n**2 - samples.square().sum())
        return float((right.sum() * n - (samples * guesses).sum()) / spread.sqrt()) if spread > 0 else 0.0
