"""Batch order of each epoch, which depends on (seed, epoch) alone, and a position in it that can be saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Keeps the permutations of neighbouring seeds apart: (seed, epoch) and (seed + 1, epoch - 1) must not collide.
_SEED_STRIDE = 1_000_003


@dataclass
class Position:
    """Progress of training: ``step`` optimiser steps of epoch ``epoch`` are done (both count from 0)."""

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
        least: samples that a batch must have; what is left of an epoch joins the batch before it if it is fewer.
    """

    def __init__(self, size: int, batch_size: int, seed: int = 0, shuffle: bool = True, least: int = 1) -> None:
        if size < 1 or batch_size < 1:
            raise ValueError(f"`size` and `batch_size` must be at least 1, got {size} and {batch_size}")
        if min(size, batch_size) < least:
            raise ValueError(f"`size` and `batch_size` must be at least {least}, got {size} and {batch_size}")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.least = least

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(self.size, self.batch_size)
        return whole + (rest >= self.least and rest > 0)

    def bounds(self, batch: int) -> tuple[int, int]:
        """Where batch ``batch`` of an epoch begins and ends in the epoch's order."""
        first = batch * self.batch_size
        return first, self.size if batch + 1 == len(self) else first + self.batch_size

    def permutation(self, epoch: int) -> Tensor:
        """The order of epoch ``epoch``: int64, shape (size,). A batch that is the whole set needs none."""
        if not self.shuffle or len(self) == 1:
            return torch.arange(self.size)
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + epoch)
        return torch.randperm(self.size, generator=generator)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        """The index batches of an epoch from batch ``start`` on, each int64 of shape (M,).

        M is the batch size, except in the last one, where it may be less, or more by fewer than ``least``.
        """
        order = self.permutation(epoch)
        for batch in range(start, len(self)):
            first, end = self.bounds(batch)
            yield order[first:end]


def part_sizes(samples: int, parts: int, least: int = 1) -> list[int]:
    """Sizes of the parts (micro-batches) into which a batch is split for gradient accumulation.

    Args:
        samples: of the batch.
        parts: maximum number of parts, of equal size but for the last.
        least: minimum size of a part; a smaller last part is distributed over the others, which are then fewer, or of
            sizes that differ by one.
    """
    size = max(-(-samples // parts), least)
    sizes = [min(size, samples - first) for first in range(0, samples, size)]
    if sizes[-1] >= least:
        return sizes
    count = max(1, min(len(sizes), samples // least))
    return [samples // count + (number < samples % count) for number in range(count)]
