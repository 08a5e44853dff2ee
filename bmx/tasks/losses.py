"""Losses and scores of classification and regression, as plain functions of outputs and targets."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bmx.data.spec import DataSpec
from bmx.metrics.metric import Metric
from bmx.metrics.standard import MAIN

Sum = TypeVar("Sum", float, Tensor)


class TaskObjective(Protocol):
    """A loss to minimise and a score to report.

    ``score_sum`` adds up over samples; ``score`` turns the sum over ``n`` samples into the metric ``scored``.
    """

    @property
    def scored(self) -> Metric: ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor: ...

    def loss_per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor: ...

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor: ...

    def score(self, total: Sum, n: int) -> Sum: ...


def two_class_logits(outputs: Tensor) -> Tensor:
    """Logits of shape (N, K), K ≥ 2: a single logit z stands for the pair (0, z).

    softmax(0, z) is (1 - sigmoid(z), sigmoid(z)), so cross-entropy on the pair is binary cross-entropy on z, exactly.
    """
    if outputs.ndim == 1:
        outputs = outputs.unsqueeze(1)
    if outputs.shape[1] == 1:
        return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
    return outputs


class Classification:
    """Cross-entropy on logits of shape (N, K) and int64 targets of shape (N,); the score is accuracy."""

    scored = MAIN["classification"]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, a scalar in nats."""
        if outputs.shape[-1] == 1:
            outputs = two_class_logits(outputs)
        return F.cross_entropy(outputs, targets)

    def loss_per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each sample, shape (N,)."""
        return F.cross_entropy(two_class_logits(outputs), targets, reduction="none")

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Number of samples whose largest logit is the target's."""
        if outputs.shape[-1] == 1:
            outputs = two_class_logits(outputs)
        return (outputs.argmax(1) == targets).sum()

    def score(self, total: Sum, n: int) -> Sum:
        return total / n


class Regression:
    """Mean squared error on outputs of shape (N, 1) and float targets of shape (N,); the score is the RMSE."""

    scored = MAIN["regression"]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean of the squared errors, a scalar in squared units of the target."""
        return F.mse_loss(outputs.squeeze(1), targets.to(outputs.dtype))

    def loss_per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error of each sample, shape (N,)."""
        return (outputs.squeeze(1) - targets.to(outputs.dtype)).square()

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sum of the squared errors."""
        return self.loss_per_sample(outputs, targets).sum()

    def score(self, total: Sum, n: int) -> Sum:
        root: Sum = (total / n) ** 0.5
        return root


def objective_for(spec: DataSpec) -> TaskObjective:
    """The objective that fits the targets of a data set."""
    return Regression() if spec.task == "regression" else Classification()
