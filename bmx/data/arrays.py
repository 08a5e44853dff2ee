"""Samples and targets as whole tensors, raw as stored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bmx.data.rows import FileRows
from bmx.data.spec import DataSpec


@dataclass(frozen=True)
class Arrays:
    """N samples and their targets.

    Args:
        inputs: images uint8 (or float32) of shape (N, C, H, W), tokens uint8, int16 or int32 of shape (N, T), or table
            rows float32 of shape (N, F); a :class:`FileRows` leaves them on disk.
        targets: int64 (N,) class numbers, or float32 (N,) for regression.

    Raises:
        ValueError: the two differ in length.
    """

    inputs: Tensor | FileRows
    targets: Tensor

    def __post_init__(self) -> None:
        if self.targets.ndim != 1 or len(self.inputs) != len(self.targets):
            raise ValueError(
                f"`targets` must have shape ({len(self.inputs)},) for inputs of shape {tuple(self.inputs.shape)}, "
                f"got {tuple(self.targets.shape)}"
            )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def on_disk(self) -> bool:
        """Whether the inputs are read from a file when they are asked for."""
        return isinstance(self.inputs, FileRows)

    def in_memory(self) -> Arrays:
        """The same samples, read into memory if they are on disk."""
        return Arrays(self.inputs.read(), self.targets) if isinstance(self.inputs, FileRows) else self

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets at ``indices`` as tensors in memory."""
        if isinstance(self.inputs, FileRows):
            return self.inputs.read(indices), self.targets[indices]
        return torch.index_select(self.inputs, 0, indices), torch.index_select(self.targets, 0, indices)

    def select(self, indices: Tensor) -> Arrays:
        """The samples at ``indices`` (int64, shape (M,)), in that order: a copy in memory, or still on disk."""
        if isinstance(self.inputs, FileRows):
            return Arrays(self.inputs.subset(indices), self.targets[indices])
        # torch.index_select copies whole rows and is several times faster than inputs[indices] for small samples.
        return Arrays(torch.index_select(self.inputs, 0, indices), torch.index_select(self.targets, 0, indices))


@dataclass(frozen=True)
class Source:
    """What a source function returns: a training and a test set of the same spec."""

    train: Arrays
    test: Arrays
    spec: DataSpec

    def in_memory(self) -> Source:
        """The same source with every sample in memory."""
        return Source(self.train.in_memory(), self.test.in_memory(), self.spec)
