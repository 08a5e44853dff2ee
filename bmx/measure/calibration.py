"""Expected calibration error of a classifier."""

from __future__ import annotations

import torch
from torch import Tensor


def calibration_error(probability: Tensor, correct: Tensor, bins: int = 15) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, over bins of equal width.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599, equation 3.

    Args:
        probability: of the predicted class, shape (N,), from 0 to 1.
        correct: whether the prediction is correct, bool (N,).
        bins: bin b holds the probabilities above b / bins and up to (b + 1) / bins.
    """
    if not len(probability):
        return float("nan")
    p, right = probability.double(), correct.double()
    place = (p * bins).ceil().long().sub(1).clamp(0, bins - 1)
    # The gap of a bin, weighted by its share of the samples, is the difference of its two sums over N.
    sure = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, p)
    hits = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right)
    return float((sure - hits).abs().sum() / len(p))
