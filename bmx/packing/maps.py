"""Codes the nonzero mask of a matrix, with contexts from the density of its rows and columns so far.

Pruning empties whole rows and columns (neurons without inputs, pixels at the border) and leaves others dense. So the
empty ones are coded first, and each remaining entry in the context of how dense its row and its column are, and of its
neighbour to the left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmx.packing.coder import Contexts, RangeDecoder, RangeEncoder

Map = NDArray[np.bool_]

# Densities are compared as powers of two of 1/64: below 1/64, below 1/32, ..., up to 1.
_LEVELS = 8


def write_map(encoder: RangeEncoder, places: Map) -> None:
    """Encodes a boolean matrix (rows, columns); the shape is not stored."""
    rows: Map = np.any(places, axis=1)
    columns: Map = np.any(places, axis=0)
    for flags in (rows, columns):
        contexts = Contexts(1)
        for flag in flags.tolist():
            encoder.write(contexts, 0, flag)
    contexts, write = Contexts(2 * _LEVELS * _LEVELS), encoder.write
    seen = np.zeros(int(columns.sum()), dtype=np.int64)
    for done, row in enumerate(places[rows][:, columns]):
        in_row = bit = 0
        for at, (level, this) in enumerate(zip(_levels(seen, done), row.tolist(), strict=True)):
            write(contexts, level + 2 * ((in_row << 6) // (at + 1)).bit_length() + bit, this)
            bit = int(this)
            in_row += bit
        seen += row


def read_map(decoder: RangeDecoder, rows: int, columns: int) -> Map:
    """Decodes the boolean matrix (rows, columns) that :func:`write_map` encoded."""
    live = []
    for size in (rows, columns):
        contexts = Contexts(1)
        live.append(np.array([decoder.read(contexts, 0) for _ in range(size)], dtype=bool))
    contexts, read = Contexts(2 * _LEVELS * _LEVELS), decoder.read
    inner = np.zeros((int(live[0].sum()), int(live[1].sum())), dtype=bool)
    seen = np.zeros(inner.shape[1], dtype=np.int64)
    for done, row in enumerate(inner):
        in_row, bit, bits = 0, 0, []
        for at, level in enumerate(_levels(seen, done)):
            bit = read(contexts, level + 2 * ((in_row << 6) // (at + 1)).bit_length() + bit)
            in_row += bit
            bits.append(bit)
        row[:] = bits
        seen += row
    places = np.zeros((rows, columns), dtype=bool)
    places[np.ix_(*live)] = inner
    return places


# bit_length of 0 .. 64, times the number of contexts that share it: the first part of a context.
_TABLE = np.array([2 * _LEVELS * value.bit_length() for value in range(65)])


def _levels(seen: NDArray[np.int64], rows: int) -> list[int]:
    """Density of each column in the first ``rows`` rows, as the first part of a context."""
    levels: list[int] = _TABLE[(seen << 6) // (rows + 1)].tolist()
    return levels
