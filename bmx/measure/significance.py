"""Disagreements of two classifiers on the same samples, as McNemar's test takes them."""

from __future__ import annotations

from torch import Tensor


def only_right(first: Tensor, second: Tensor, targets: Tensor) -> tuple[int, int]:
    """Counts the samples that only the first classifies correctly, and those that only the second does.

    Args:
        first: predicted classes (N,) of the first.
        second: predicted classes (N,) of the second.
        targets: true classes (N,).
    """
    one, two = first == targets, second == targets
    return int((one & ~two).sum()), int((two & ~one).sum())
