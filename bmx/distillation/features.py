"""Feature distillation losses, on layer outputs of shape (N, C), (N, C, H, W) or (N, T, C).

All return a scalar, the mean over the batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Number of triples of samples whose angles are computed at once.
TRIPLES_AT_ONCE = 2**22


def channels_first(features: Tensor) -> Tensor:
    """Features with their positions in one last dimension: (N, C, H, W) and (N, T, C) become (N, C, P)."""
    if features.ndim == 3:
        return features.transpose(1, 2)
    return features.flatten(2) if features.ndim > 3 else features


def fitnet(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two features of one shape.

    The hint of Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550; there it is a stage of its own before
    distillation, here a term added to the cross-entropy, as in later work.
    """
    return F.mse_loss(student, teacher)


def attention_map(features: Tensor) -> Tensor:
    """Attention map: the mean of the squared channels at each position, scaled to length 1, shape (N, P)."""
    return F.normalize(channels_first(features).square().mean(1), dim=1)


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the attention maps; channels may differ, positions may not.

    Zagoruyko & Komodakis 2017, https://arxiv.org/abs/1612.03928.
    """
    return (attention_map(student) - attention_map(teacher)).square().mean()


def rkd_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the distances of all pairs of samples, each divided by its mean; features (N, D).

    Park et al. 2019, "Relational Knowledge Distillation", https://arxiv.org/abs/1904.05068, equation 7.
    """
    return F.smooth_l1_loss(_relative_distances(student), _relative_distances(teacher))


def rkd_angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the cosines of the angles that all triples of samples span; features (N, D).

    Park et al. 2019, equation 9. The triples are processed in blocks by the sample at the angle: memory is of the order
    N², time of the order N³.
    """
    loss: Tensor = _Angles.apply(*_sides(student), *(side.detach() for side in _sides(teacher)))
    return loss


class _Angles(torch.autograd.Function):
    """The loss over all angles, block by block, each with its gradient at once, so that no block is stored."""

    @staticmethod
    def forward(ctx: Any, inner: Tensor, inverse: Tensor, *teacher: Tensor) -> Tensor:
        n = len(inner)
        size = max(1, TRIPLES_AT_ONCE // n**2)
        wanted = inner.requires_grad
        total = inner.new_zeros(())
        gradients = [torch.zeros_like(inner), torch.zeros_like(inner)] if wanted else []
        for first in range(0, n, size):
            last = min(first + size, n)
            target = _cosines(first, last, *teacher)
            with torch.set_grad_enabled(wanted):
                student = [side.detach().requires_grad_(wanted) for side in (inner, inverse)]
                loss = F.smooth_l1_loss(_cosines(first, last, *student), target, reduction="sum")
            for found, more in zip(gradients, torch.autograd.grad(loss, student) if wanted else (), strict=True):
                found += more
            total += loss.detach()
        ctx.save_for_backward(*gradients)
        ctx.triples = n**3
        return total / n**3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *(found * (gradient / ctx.triples) for found in ctx.saved_tensors), None, None


def _relative_distances(x: Tensor) -> Tensor:
    square = x.square().sum(1)
    # Rounding can make a square negative; the root's gradient at 0 is infinite.
    distances = (square[:, None] + square[None, :] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    distances = distances * (1 - torch.eye(len(x), dtype=x.dtype, device=x.device))
    others = distances[distances > 1e-5]
    return distances / others.mean() if len(others) else distances


def _sides(x: Tensor) -> tuple[Tensor, Tensor]:
    """The inner products of all pairs of samples, and one over their distances, 0 where they coincide; both (N, N)."""
    x = x - x.mean(0)  # differences of small numbers are more exact
    inner = x @ x.T
    square = inner.diagonal()
    apart = square[:, None] + square[None, :] - 2 * inner
    differ = apart > 10 * torch.finfo(x.dtype).eps * (square[:, None] + square[None, :])
    # The inner choice keeps the gradient of what is not used finite.
    return inner, torch.where(differ, torch.where(differ, apart, 1.0).rsqrt(), 0.0)


def _cosines(first: int, last: int, inner: Tensor, inverse: Tensor) -> Tensor:
    """Cosines of the angles at samples ``first`` to ``last`` between any two, (last - first, N, N); 0 without a side.

    By the inner products of all pairs, which need no (N, N, D) edges: for wide features a dozen times faster.
    """
    # (j - i)·(k - i) = j·k - i·j - i·k + i·i
    half = inner.diagonal()[first:last, None] / 2 - inner[first:last]
    inverse = inverse[first:last]
    return (inner + half[:, :, None] + half[:, None, :]) * inverse[:, :, None] * inverse[:, None, :]
