"""Samples looked through a few megabytes at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from bmx.data.pipeline.rows import FileRows

# Numbers that are looked at together: 16 MB of float32.
_CHUNK = 4 << 20


def chunks(inputs: Tensor | FileRows) -> Iterator[tuple[int, Tensor]]:
    """Batches (n, …) of all samples in their order, each with the number of its first."""
    rows = max(1, _CHUNK // max(1, math.prod(inputs.shape[1:])))
    for number, chunk in enumerate(inputs.split(rows)):
        # What a model computes in: a number that 32 bits cannot hold is none.
        yield number * rows, chunk.float() if chunk.dtype == torch.float64 else chunk


def whole(values: Tensor) -> Tensor:
    """Which values are whole numbers; bool, of the same shape."""
    return torch.ones_like(values, dtype=torch.bool) if values.dtype == torch.bool else values == values.trunc()
