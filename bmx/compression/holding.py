"""Keeps what an earlier stage pruned at zero, while a later stage is fine-tuned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# A trained weight is exactly zero by chance only once in many millions; a tensor with this share has been pruned.
_PRUNED = 0.01


class Holding:
    """Puts the weights that were zero at the start back to zero after each step.

    Args:
        net: whose weights of two or more dimensions are looked at.
    """

    settled = True

    def __init__(self, net: nn.Module) -> None:
        self.parameters = dict(net.named_parameters())
        self.zeros = {name: zeros for name, p in self.parameters.items() if (zeros := _zeros(p)) is not None}

    def __bool__(self) -> bool:
        """Whether there is something to hold."""
        return bool(self.zeros)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step."""
        for name, zeros in self.zeros.items():
            self.parameters[name].masked_fill_(zeros.to(self.parameters[name].device), 0.0)

    def state_dict(self) -> dict[str, Any]:
        """The zeros, as masks."""
        return {name: zeros.cpu() for name, zeros in self.zeros.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up the zeros of a run that was stopped."""
        self.zeros = dict(state)


def _zeros(parameter: Tensor) -> Tensor | None:
    if parameter.ndim < 2 or not parameter.requires_grad:
        return None
    zeros = parameter.detach() == 0
    return zeros if zeros.float().mean() >= _PRUNED else None
