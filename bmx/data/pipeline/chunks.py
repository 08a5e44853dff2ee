"""Iteration over samples in chunks of a few megabytes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from bmx.data.pipeline.rows import FileRows

# Elements of a chunk: 16 MB of float32.
_CHUNK = 4 << 20


def chunks(inputs: Tensor | FileRows) -> Iterator[tuple[int, Tensor]]:
    """Chunks (n, …) of all samples in order, each with the index of its first sample."""
    rows = max(1, _CHUNK // max(1, math.prod(inputs.shape[1:])))
    for number, chunk in enumerate(inputs.split(rows)):
        # float32, as models compute: a value out of its range becomes infinite and is found.
        yield number * rows, chunk.float() if chunk.dtype == torch.float64 else chunk


def whole(values: Tensor) -> Tensor:
    """Elementwise mask of whole numbers; bool, of the same shape."""
    return torch.ones_like(values, dtype=torch.bool) if values.dtype == torch.bool else values == values.trunc()
