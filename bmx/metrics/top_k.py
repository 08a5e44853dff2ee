"""Top-k accuracy: the true class is among the k largest logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.errors import UsageError
from bmx.metrics.metric import Metric

if TYPE_CHECKING:
    from torch import Tensor


class TopK(Metric):
    """The fraction of samples whose class has one of the k largest logits (Russakovsky et al. 2015).

    Args:
        k: how many of the largest logits count.
    """

    name = "top_k"
    higher_is_better = True
    task = "classification"
    percent = share = True

    def __init__(self, k: int = 5) -> None:
        self.k = k
        self.label = f"top-{k} accuracy"

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        classes = outputs.shape[1]
        if self.k >= classes:
            what = f"with {classes} classes all are among the {self.k} likeliest"
            raise UsageError(what, f"k={self.k}", f"use a k below {classes}")
        likeliest = outputs.topk(self.k, dim=1).indices
        return float((likeliest == targets.unsqueeze(1)).any(1).double().mean())
