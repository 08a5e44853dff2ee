"""Samples on disk: rows of a file, read on access."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# Consecutive rows are read at once, up to this many bytes.
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class FileRows:
    """Equal-sized consecutive samples in a file; replaces a tensor in :class:`bmx.data.arrays.Arrays`.

    Reading goes through the system's file cache and never maps the file, so the memory of the process stays flat.

    Args:
        path: the file.
        dtype: of an element, in the machine's byte order.
        row_shape: of one sample.
        offset: bytes before the first sample.
        rows: indices of the samples, int64 (N,).
    """

    path: Path
    dtype: torch.dtype
    row_shape: tuple[int, ...]
    offset: int
    rows: Tensor

    @classmethod
    def whole(cls, path: Path, dtype: torch.dtype, shape: tuple[int, ...], offset: int = 0) -> FileRows:
        """All ``shape[0]`` samples of the file."""
        return cls(path, dtype, tuple(shape[1:]), offset, torch.arange(shape[0]))

    def with_channel(self) -> FileRows:
        """Images (H, W) as images of one channel, (1, H, W)."""
        return replace(self, row_shape=(1, *self.row_shape))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.rows), *self.row_shape))

    @property
    def ndim(self) -> int:
        return 1 + len(self.row_shape)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def numel(self) -> int:
        return len(self.rows) * math.prod(self.row_shape)

    @property
    def row_bytes(self) -> int:
        return math.prod(self.row_shape) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes that the samples would take in memory."""
        return len(self.rows) * self.row_bytes

    def subset(self, indices: Tensor) -> FileRows:
        """The samples at ``indices``, still on disk."""
        return replace(self, rows=self.rows[indices])

    def read(self, indices: Tensor | slice = slice(None)) -> Tensor:
        """The samples at ``indices`` as a tensor in memory."""
        wanted = self.rows[indices].numpy()
        out = torch.empty((len(wanted), *self.row_shape), dtype=self.dtype)
        if not len(wanted):
            return out
        size = self.row_bytes
        view = out.reshape(-1).view(torch.uint8).numpy().data
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            for first, count in _runs(wanted, max(1, _CHUNK_BYTES // size)):
                place = self.offset + int(wanted[first]) * size
                part = view[first * size : (first + count) * size]
                if os.preadv(descriptor, [part], place) != len(part):
                    raise EOFError(f"{self.path} ends before sample {int(wanted[first]) + count}")
        finally:
            os.close(descriptor)
        return out

    def __getitem__(self, index: int | slice) -> Tensor:
        """One sample (an int) or several (a slice), as a tensor in memory."""
        if isinstance(index, int):
            return self.read(slice(index, index + 1))[0]
        return self.read(index)

    def split(self, size: int) -> Iterator[Tensor]:
        """The samples in order, ``size`` at a time."""
        for first in range(0, len(self), size):
            yield self.read(slice(first, first + size))


def _runs(rows: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Runs of consecutive rows as (start in ``rows``, length), at most ``most`` rows each."""
    if not len(rows):
        return
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for start, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        for first in range(int(start), int(end), most):
            yield first, min(most, int(end) - first)
