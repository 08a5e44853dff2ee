"""L1 and L2 weight penalties, added to the gradients.

The gradient of l1·Σ|w| is l1·sign(w) and that of l2/2·Σw² is l2·w: adding them after the backward pass is exact for
every optimiser and costs no autograd graph. Biases and normalisation parameters (fewer than two dimensions) are not
penalised.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Penalties:
    """Adds the gradients of the L1 and L2 penalties.

    Args:
        parameters: those of the model; the ones with two or more dimensions are penalised.
        l1: strength of Σ|w|.
        l2: strength of ½Σw².
    """

    def __init__(self, parameters: Iterable[nn.Parameter], l1: float = 0.0, l2: float = 0.0) -> None:
        for name, value in (("l1", l1), ("l2", l2)):
            if value < 0:
                raise ValueError(f"`{name}` must be at least 0, got {value}")
        self.l1, self.l2 = l1, l2
        self.weights = [p for p in parameters if p.requires_grad and p.ndim >= 2]
        self.active = bool(self.weights) and (l1 > 0 or l2 > 0)

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Adds l1·sign(w) + l2·w to the gradient of every penalised weight."""
        for weight in self.weights:
            if weight.grad is None:
                continue
            if self.l2:
                weight.grad.add_(weight, alpha=self.l2)
            if self.l1:
                weight.grad.add_(weight.sign(), alpha=self.l1)

    @torch.no_grad()
    def value(self) -> Tensor:
        """The penalty itself, l1·Σ|w| + l2/2·Σw², a scalar."""
        total = torch.zeros((), device=self.weights[0].device if self.weights else None)
        for weight in self.weights:
            total += self.l1 * weight.abs().sum() + self.l2 / 2 * weight.square().sum()
        return total
