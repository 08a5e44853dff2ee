"""Pruning masks during training: hold pruned weights at zero and prune more by a schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.prune import selection


@dataclass(frozen=True)
class Ramp:
    """Cubic sparsity schedule: s(t) = s_end (1 - (1 - t)³), fast at first, while much is redundant.

    Zhu & Gupta 2017, "To prune, or not to prune". A ramp that begins and ends at 0 prunes at once.

    Attributes:
        begin: fraction of the steps after which pruning begins.
        end: fraction of the steps after which the target sparsity is reached.
        updates: number of mask updates in between.
    """

    begin: float = 0.0
    end: float = 0.0
    updates: int = 100

    @property
    def at_once(self) -> bool:
        """Whether everything is pruned before the first step."""
        return self.end <= 0

    def level(self, step: int, steps: int) -> float:
        """The share, in [0, 1], of the target sparsity after ``step`` of ``steps``; rises in ``updates`` steps."""
        first, last = self.begin * steps, self.end * steps
        if step >= last:
            return 1.0
        if step <= first:
            return 0.0
        stair = math.floor((step - first) / (last - first) * self.updates) / self.updates
        return 1 - (1 - stair) ** 3


class Masking:
    """Chooses pruning masks and holds them: after each optimiser step a pruned weight is exactly zero again.

    A pruned weight never comes back, whatever momentum or decay would make of it.

    Args:
        net: pruned in place.
        names: of the weights to prune.
        zeros: number of zeros at the end.
        criterion: see :func:`bmx.compression.prune.selection.scores`.
        pattern: see :func:`bmx.compression.prune.selection.lowest`.
        ramp: sparsity schedule.
        seed: of a random criterion.
    """

    def __init__(
        self,
        net: nn.Module,
        names: Sequence[str],
        zeros: int,
        criterion: str = "magnitude",
        pattern: str = "none",
        ramp: Ramp = Ramp(),
        seed: int = 0,
    ) -> None:
        self.net = net
        self.names = tuple(names)
        self.zeros = zeros
        self.criterion = criterion
        self.pattern = pattern
        self.ramp = ramp
        self.seed = seed
        self.level = 0.0
        self.gone: selection.Masks = {}  # true where a weight has been pruned
        if ramp.at_once:
            self.prune(1.0)

    @property
    def settled(self) -> bool:
        """Whether the net has its final sparsity; an earlier net is not a valid result."""
        return self.level >= 1.0

    def weights(self) -> dict[str, Tensor]:
        """The current weights, by name."""
        parameters = dict(self.net.named_parameters())
        return {name: parameters[name].data for name in self.names}

    def after_step(self, step: int, steps: int) -> None:
        """Prunes more if the schedule requires it, and resets the pruned weights to zero."""
        self.hold()
        level = self.ramp.level(step, steps)
        if level > self.level:
            self.prune(level)

    def prune(self, level: float) -> None:
        """Zeroes the weights of lowest score, up to ``level`` (in [0, 1]) of the final number of zeros."""
        score = selection.scores(self.weights(), self.criterion, self.seed)
        for name, gone in self.gone.items():
            # Pruned weights rank below those that happen to be zero without having been pruned.
            score[name] = score[name].masked_fill(gone.to(score[name].device), -1.0)
        self.level = level
        self.gone = selection.lowest(score, round(level * self.zeros), self.pattern)
        self.hold()

    def hold(self) -> None:
        """Sets the pruned weights to exactly zero."""
        if not self.gone:
            return
        with torch.no_grad():
            for name, weight in self.weights().items():
                gone = self.gone[name]
                if gone.device != weight.device:
                    gone = self.gone[name] = gone.to(weight.device)
                # Not a product with a mask: that would leave minus zeros and keep a NaN.
                weight.masked_fill_(gone, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """The level reached, and the masks."""
        return {"level": self.level, "gone": {name: gone.cpu() for name, gone in self.gone.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state that ``state_dict`` returned."""
        self.level = float(state["level"])
        self.gone = dict(state["gone"])
