"""Macro-averaged precision, recall and F1, over the classes that occur as a target or a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.metrics.metric import OfCounts

if TYPE_CHECKING:
    from torch import Tensor


class _Macro(OfCounts):
    averaged = "macro"
    higher_is_better = True
    percent = share = True

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        return float(self.of_each(right, samples, guesses)[(samples + guesses) > 0].mean())

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        """The metric of each class, float64 (K,), from counts (K,) as in ``of_counts``."""
        raise NotImplementedError


class Precision(_Macro):
    """The fraction of a class's predictions that are correct; 0 where it is never predicted."""

    name = label = "precision"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return (right / guesses.clamp(min=1)).where(guesses > 0, guesses.new_zeros(()))


class Recall(_Macro):
    """The fraction of a class's samples that are predicted as it; 0 where it has none."""

    name = label = "recall"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return (right / samples.clamp(min=1)).where(samples > 0, samples.new_zeros(()))


class F1(_Macro):
    """The harmonic mean of a class's precision and recall."""

    name, label = "f1", "F1"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return 2 * right / (samples + guesses).clamp(min=1)
