"""Which samples come in which batch: an order that depends on (seed, epoch) alone, and a position that can be saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Keeps the permutations of neighbouring seeds apart: (seed, epoch) and (seed + 1, epoch - 1) must not collide.
_SEED_STRIDE = 1_000_003


@dataclass
class Position:
    """Where training stands: ``step`` optimiser steps of epoch ``epoch`` are done (both count from 0)."""

    epoch: int = 0
    step: int = 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.step = int(state["epoch"]), int(state["step"])


class BatchOrder:
    """The index batches of every epoch.

    Args:
        size: number of samples.
        batch_size: samples per batch; the last batch of an epoch holds what is left.
        seed: with the epoch's number, decides the order.
        shuffle: False keeps the order of the set.
    """

    def __init__(self, size: int, batch_size: int, seed: int = 0, shuffle: bool = True) -> None:
        if size < 1 or batch_size < 1:
            raise ValueError(f"`size` and `batch_size` must be at least 1, got {size} and {batch_size}")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self.size // self.batch_size)

    def permutation(self, epoch: int) -> Tensor:
        """The order of epoch ``epoch``: int64, shape (size,)."""
        if not self.shuffle:
            return torch.arange(self.size)
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + epoch)
        return torch.randperm(self.size, generator=generator)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        """The index batches of an epoch from batch ``start`` on, each int64 of shape (≤ batch_size,)."""
        order = self.permutation(epoch)
        for first in range(start * self.batch_size, self.size, self.batch_size):
            yield order[first : first + self.batch_size]
