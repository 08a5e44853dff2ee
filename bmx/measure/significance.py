"""Two models on the same samples, counted where they differ."""

from __future__ import annotations

from torch import Tensor


def only_right(first: Tensor, second: Tensor, targets: Tensor) -> tuple[int, int]:
    """How many samples the first alone has right, and how many the second alone.

    Args:
        first: class numbers (N,) that the first predicts.
        second: likewise, of the same samples.
        targets: the true ones (N,).
    """
    one, two = first == targets, second == targets
    return int((one & ~two).sum()), int((two & ~one).sum())
