"""Precision, recall and F1, averaged over the classes that occur as a target or as an answer."""

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
        """The metric of each class (K,)."""
        raise NotImplementedError


class Precision(_Macro):
    """Of the samples that a class was the answer to, the share that is of it; 0 where it never was."""

    name = label = "precision"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return (right / guesses.clamp(min=1)).where(guesses > 0, guesses.new_zeros(()))


class Recall(_Macro):
    """Of the samples of a class, the share that it was the answer to; 0 where there are none."""

    name = label = "recall"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return (right / samples.clamp(min=1)).where(samples > 0, samples.new_zeros(()))


class F1(_Macro):
    """The harmonic mean of both."""

    name, label = "f1", "F1"

    def of_each(self, right: Tensor, samples: Tensor, guesses: Tensor) -> Tensor:
        return 2 * right / (samples + guesses).clamp(min=1)
