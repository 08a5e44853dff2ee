"""Accuracy and balanced accuracy: the fraction of samples whose largest logit is that of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.metrics.metric import OfCounts

if TYPE_CHECKING:
    from torch import Tensor


class Accuracy(OfCounts):
    """The fraction of correct predictions."""

    name = label = "accuracy"
    short = "acc"
    higher_is_better = True
    percent = share = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        return float(right.sum() / samples.sum())


class BalancedAccuracy(OfCounts):
    """The mean per-class accuracy, over the classes that occur (Brodersen et al. 2010)."""

    name, label = "balanced_accuracy", "balanced accuracy"
    higher_is_better = True
    percent = share = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        occurs = samples > 0
        return float((right[occurs] / samples[occurs]).mean())
