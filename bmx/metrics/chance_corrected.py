"""Agreement of answers and classes beyond what their frequencies alone would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.metrics.metric import OfCounts

if TYPE_CHECKING:
    from torch import Tensor


class CohenKappa(OfCounts):
    """Cohen's kappa (Cohen 1960): 1 all right, 0 as by chance; not defined where all are of one class, and so said."""

    name, label = "cohen_kappa", "Cohen's kappa"
    higher_is_better = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        n = samples.sum()
        chance = float((samples * guesses).sum() / n**2)
        return (float(right.sum() / n) - chance) / (1 - chance) if chance < 1 else float("nan")


class MatthewsCorrelation(OfCounts):
    """The correlation of answers and classes, of any number of classes (Gorodkin 2004); 0 where either is constant."""

    name, label = "mcc", "Matthews correlation"
    higher_is_better = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        n = samples.sum()
        spread = (n**2 - guesses.square().sum()) * (n**2 - samples.square().sum())
        return float((right.sum() * n - (samples * guesses).sum()) / spread.sqrt()) if spread > 0 else 0.0
