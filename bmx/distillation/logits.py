"""Losses between the logits of student and teacher.

All take logits of shape (N, K) and give a scalar, the mean over the batch. The teacher's come without a gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Added to a variance, so that the division is finite where all logits of a sample are equal.
_TINY = 1e-12


def kd(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Knowledge distillation: ``T² KL(softmax(teacher / T) ‖ softmax(student / T))`` in nats.

    T² keeps the gradient's size as T grows. Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531.
    """
    return divergence(student, soften(teacher, temperature), temperature)


def soften(logits: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (N, K) at a temperature; of the teacher they can be computed once for all epochs."""
    return F.log_softmax(logits / temperature, dim=1)


def divergence(student: Tensor, teacher_logs: Tensor, temperature: float) -> Tensor:
    """:func:`kd` from the teacher's softened log-probabilities."""
    kl = F.kl_div(
        soften(student, temperature),
        teacher_logs,
        reduction="batchmean",  # "mean" would divide by the number of classes too
        log_target=True,
    )
    return kl * temperature**2


def standardise(logits: Tensor) -> Tensor:
    """Each sample's logits (N, K) with mean 0 and (sample) standard deviation 1 over its classes."""
    classes = logits.shape[1]
    # One kernel instead of five; it divides by the standard deviation of the population.
    return F.layer_norm(logits, (classes,), eps=_TINY) * ((classes - 1) / classes) ** 0.5


def kd_std(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """:func:`kd` on standardised logits: the student need not match the teacher's range, only its relations.

    Sun et al. 2024, "Logit Standardization in Knowledge Distillation", https://arxiv.org/abs/2403.01427.
    """
    return kd(standardise(student), standardise(teacher), temperature)


def mse_logits(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the logits themselves; the limit of :func:`kd` for high temperatures.

    Ba & Caruana 2014, https://arxiv.org/abs/1312.6184. Takes predictions (N, 1) as well.
    """
    return F.mse_loss(student, teacher)


def dkd(
    student: Tensor,
    teacher: Tensor,
    targets: Tensor,
    temperature: float = 4.0,
    target_weight: float = 1.0,
    other_weight: float = 8.0,
) -> Tensor:
    """Decoupled distillation: how sure of the target, and how the other classes compare, each with its own weight.

    ``T² (target_weight · TCKD + other_weight · NCKD)``; with ``other_weight`` = 1 - p_target(teacher) and
    ``target_weight`` = 1 it is :func:`kd`. Zhao et al. 2022, https://arxiv.org/abs/2203.08679.

    Args:
        targets: int64 class numbers (N,).
    """
    theirs = target_pair(teacher, targets, temperature), other_logs(teacher, targets, temperature)
    return decoupled(student, theirs, targets, temperature, target_weight, other_weight)


def decoupled(
    student: Tensor,
    teacher_logs: tuple[Tensor, Tensor],
    targets: Tensor,
    temperature: float,
    target_weight: float,
    other_weight: float,
) -> Tensor:
    """:func:`dkd` from the teacher's :func:`target_pair` and :func:`other_logs`."""
    ours = target_pair(student, targets, temperature), other_logs(student, targets, temperature)
    weights = (target_weight, other_weight)
    total = student.new_zeros(())
    for mine, its, weight in zip(ours, teacher_logs, weights, strict=True):
        total = total + weight * F.kl_div(mine, its, reduction="batchmean", log_target=True)
    return temperature**2 * total


def target_pair(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Logs of (p_target, 1 - p_target), shape (N, 2)."""
    logs = soften(logits, temperature)
    # The log of the sum of the others: exact where p_target is nearly 1, which log(1 - p) is not.
    return torch.stack([_at(logs, targets), _others(logs, targets).logsumexp(1)], dim=1)


def other_logs(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Log-probabilities among the classes that are not the target, shape (N, K - 1)."""
    return soften(_others(logits, targets), temperature)


def dist(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    between_weight: float = 2.0,
    within_weight: float = 2.0,
) -> Tensor:
    """1 minus the correlation of the probabilities: over the classes of each sample, and the samples of each class.

    ``T² (between_weight · inter + within_weight · intra)``. Huang et al. 2022, https://arxiv.org/abs/2205.10536.
    """
    ours, theirs = F.softmax(student / temperature, dim=1), F.softmax(teacher / temperature, dim=1)
    between = 1 - correlation(ours, theirs).mean()
    # One sample has no spread to correlate with.
    within = 1 - correlation(ours.T, theirs.T).mean() if len(ours) > 1 else 0.0
    return temperature**2 * (between_weight * between + within_weight * within)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of ``a`` (R, C) with the same row of ``b``, shape (R,)."""
    return F.cosine_similarity(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True), dim=1, eps=1e-8)


def _at(values: Tensor, targets: Tensor) -> Tensor:
    return values.gather(1, targets.unsqueeze(1)).squeeze(1)


def _others(values: Tensor, targets: Tensor) -> Tensor:
    """(N, K) without each sample's target column, (N, K - 1)."""
    n, classes = values.shape
    places = torch.arange(classes - 1, device=values.device).expand(n, -1)
    return values.gather(1, places + (places >= targets.unsqueeze(1)))
