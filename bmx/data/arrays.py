"""Samples and targets as whole tensors, raw as stored, and the source of a training and a test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec


@dataclass(frozen=True)
class Arrays:
    """N samples and their targets; arrays of numpy, pandas and lists of numbers become tensors.

    Args:
        inputs: images uint8 (or float32) of shape (N, C, H, W), tokens uint8, int16 or int32 of shape (N, T), or table
            rows float32 of shape (N, F); a :class:`FileRows` leaves them on disk.
        targets: int64 (N,) class numbers, or float32 (N,) for regression; (N, 1) becomes (N,).

    Raises:
        ValueError: the two differ in length, or are not numeric.
    """

    inputs: Tensor | FileRows
    targets: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, FileRows):
            object.__setattr__(self, "inputs", _tensor(self.inputs, "inputs"))
        targets = _tensor(self.targets, "targets")
        object.__setattr__(self, "targets", targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets)
        if self.inputs.ndim < 2:
            raise ValueError(f"`inputs` must be samples of one or more numbers, got shape {tuple(self.inputs.shape)}")
        if self.targets.ndim == 2 and len(self.inputs) == len(self.targets):
            raise ValueError(
                f"`targets` must be one number for each sample, got shape {tuple(self.targets.shape)}; of one-hot rows "
                "take targets.argmax(1)"
            )
        if self.targets.ndim != 1 or len(self.inputs) != len(self.targets):
            raise ValueError(
                f"`targets` must have shape ({len(self.inputs)},) for inputs of shape {tuple(self.inputs.shape)}, "
                f"got {tuple(self.targets.shape)}"
            )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def on_disk(self) -> bool:
        """Whether the inputs are read from a file on access."""
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


def _tensor(values: Any, name: str) -> Tensor:
    """Converts any kind of numeric array to a tensor.

    Raises:
        ValueError: the values are not numeric, or the samples differ in shape.
    """
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"`{name}` must have as many numbers in each sample: {error}") from error
        if array.dtype.kind not in "biufc":
            first = array.flat[0] if array.size else None
            raise ValueError(
                f"`{name}` must be numbers, got {type(values).__name__} of {array.dtype} such as {first!r}"
            )
        values = torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))
    if values.layout != torch.strided:
        raise ValueError(f"`{name}` must be a dense tensor, got {values.layout}: use .to_dense()")
    # Few operations support these dtypes.
    wider = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}.get(values.dtype)
    values = values.detach() if values.requires_grad else values
    return values if wider is None else values.to(wider)


@dataclass(frozen=True)
class Source:
    """Result of a source function: a training and a test set of the same spec.

    Raises:
        ValueError: a field of another type.
    """

    train: Arrays
    test: Arrays
    spec: DataSpec

    def __post_init__(self) -> None:
        for name, kind in (("train", Arrays), ("test", Arrays), ("spec", DataSpec)):
            if not isinstance(getattr(self, name), kind):
                got = type(getattr(self, name)).__name__
                raise ValueError(f"`{name}` of a Source must be {kind.__module__}.{kind.__name__}, got {got}")

    def in_memory(self) -> Source:
        """The same source with every sample in memory."""
        return Source(self.train.in_memory(), self.test.in_memory(), self.spec)
