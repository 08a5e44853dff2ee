"""Logit distillation losses: KD, standardised KD, MSE, DKD and DIST.

All take logits of shape (N, K) and return a scalar, the mean over the batch. The teacher's have no gradient.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

# Added to a variance, so that the division is finite where all values are equal: of logits, and of probabilities,
# which may differ by very little.
_TINY, _LEAST = 1e-12, 1e-17


def kd(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Knowledge distillation: ``T² KL(softmax(teacher / T) ‖ softmax(student / T))`` in nats.

    T² keeps the gradient's size as T grows. Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531.
    """
    return temperature**2 * divergence(student, soften(teacher, temperature), temperature)


def soften(logits: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (N, K) at a temperature; those of the teacher can be computed once for all epochs."""
    return F.log_softmax(logits / temperature, dim=1)


def divergence(student: Tensor, teacher_logs: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence in nats of the softened student from the teacher's log-probabilities, without T²."""
    return F.kl_div(
        soften(student, temperature),
        teacher_logs,
        reduction="batchmean",  # "mean" would divide by the number of classes too
        log_target=True,
    )


def standardise(logits: Tensor) -> Tensor:
    """Each sample's logits (N, K) with mean 0 and (sample) standard deviation 1 over its classes."""
    classes = logits.shape[1]
    return _standard(logits, _TINY) * ((classes - 1) / classes) ** 0.5


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
    other_weight: float = 2.0,
) -> Tensor:
    """Decoupled knowledge distillation: target-class and non-target-class terms with separate weights.

    ``T² (target_weight · TCKD + other_weight · NCKD)``; with ``other_weight`` = 1 - p_target(teacher) and
    ``target_weight`` = 1 it is :func:`kd`. Zhao et al. 2022, https://arxiv.org/abs/2203.08679.

    Args:
        targets: int64 class numbers (N,).
    """
    said = decoupling(teacher, targets, temperature, target_weight, other_weight)
    return decoupled(student, said, targets, temperature)


def decoupling(
    teacher: Tensor, targets: Tensor, temperature: float, target_weight: float, other_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The terms of :func:`dkd` that depend on the teacher's logits, for each sample.

    With s the student's log-probabilities and o the log of its total probability of the non-target classes, the loss of
    a sample is T² (c - w·s + v o).

    Returns:
        w (N, K), v (N,) and c (N,).
    """
    column = targets.unsqueeze(1)
    logs = soften(teacher, temperature)
    target, others = logs.gather(1, column).squeeze(1), _all_but(logs, column)
    among = logs - others.unsqueeze(1)  # log-probabilities among the other classes
    shares = among.exp().scatter(1, column, 0.0)
    c = target_weight * (target.exp() * target + others.exp() * others) + other_weight * (shares * among).sum(1)
    w = (other_weight * shares).scatter(1, column, target_weight * target.exp().unsqueeze(1))
    return w, other_weight - target_weight * others.exp(), c


def decoupled(student: Tensor, teacher: tuple[Tensor, Tensor, Tensor], targets: Tensor, temperature: float) -> Tensor:
    """:func:`dkd` from the result of :func:`decoupling`."""
    w, v, c = teacher
    logs = soften(student, temperature)
    others = _all_but(logs, targets.unsqueeze(1))
    return ((v * others).sum() - (w * logs).sum() + c.sum()) * (temperature**2 / len(logs))


def _all_but(logs: Tensor, column: Tensor) -> Tensor:
    """Log of the sum over all classes but the target's, (N,): exact where the target has nearly all."""
    return logs.scatter(1, column, -math.inf).logsumexp(1)


def dist(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    between_weight: float = 1.0,
    within_weight: float = 1.0,
) -> Tensor:
    """DIST: 1 minus the correlation of probabilities, over classes within a sample and over samples within a class.

    ``T² (between_weight · inter + within_weight · intra)``. Huang et al. 2022, https://arxiv.org/abs/2205.10536.
    """
    return correlated(student, correlates(teacher, temperature), temperature, between_weight, within_weight)


def correlates(teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The teacher's terms of :func:`dist`: its probabilities (N, K), and those as :func:`unit` rows."""
    theirs = F.softmax(teacher / temperature, dim=1)
    return theirs, unit(theirs)


def correlated(
    student: Tensor, teacher: tuple[Tensor, Tensor], temperature: float, between_weight: float, within_weight: float
) -> Tensor:
    """:func:`dist` from the result of :func:`correlates`."""
    theirs, rows = teacher
    ours = F.softmax(student / temperature, dim=1)
    between = 1 - (unit(ours) * rows).sum() / len(ours)
    # One sample has no spread to correlate with.
    within = 1 - (unit(ours.T) * unit(theirs.T)).sum() / ours.shape[1] if len(ours) > 1 else 0.0
    return temperature**2 * (between_weight * between + within_weight * within)


def unit(values: Tensor) -> Tensor:
    """Each row of (R, C) centred and scaled to length 1: the product of two such rows is their correlation."""
    return _standard(values, _LEAST) / values.shape[1] ** 0.5


def _standard(values: Tensor, least: float) -> Tensor:
    """Each row with mean 0 and population standard deviation 1; one kernel instead of five."""
    return F.layer_norm(values, (values.shape[1],), eps=least)
