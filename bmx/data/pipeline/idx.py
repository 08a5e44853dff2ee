"""Reader of the IDX file format of MNIST: a header with the shape, then bytes."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from bmx.data.pipeline.rows import FileRows
from bmx.errors import UsageError

_UBYTE = 8


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads the uint8 array of an IDX file, gzipped if its name ends in .gz.

    The format is the one of http://yann.lecun.com/exdb/mnist/: two zero bytes, a type, the number of dimensions, and
    each dimension as a big-endian 32-bit integer.

    Args:
        path: the file.
        dimensions: required number of dimensions; 3 for images, 1 for labels.

    Raises:
        UsageError: the file cannot be read, is of another format, or its length does not match its header.
    """
    try:
        raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8) if path.suffix == ".gz" else _bytes(path)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error) or type(error).__name__) from None
    start = 4 + 4 * dimensions
    if len(raw) < start or bytes(raw[:4]) != bytes((0, 0, _UBYTE, dimensions)):
        raise _damaged(path, f"it is no idx file of {dimensions}-dimensional unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", raw[4:start].tobytes())
    needed = start + int(np.prod(shape, dtype=np.uint64))
    if len(raw) != needed:
        raise _damaged(path, f"its header says {needed:,} bytes, it has {len(raw):,}")
    array = raw[start:].reshape(shape)
    # torch does not share read-only memory.
    return array if array.flags.writeable else array.copy()


def idx_rows(path: Path, dimensions: int) -> FileRows | None:
    """The samples of an IDX file as rows on disk, or None if the file is gzipped.

    Arguments and errors are those of :func:`read_idx`; only the header is read.
    """
    if path.suffix == ".gz":
        return None
    start = 4 + 4 * dimensions
    try:
        with path.open("rb") as file:
            head, size = file.read(start), path.stat().st_size
    except OSError as error:
        raise _damaged(path, str(error)) from None
    if len(head) < start or head[:4] != bytes((0, 0, _UBYTE, dimensions)):
        raise _damaged(path, f"it is no idx file of {dimensions}-dimensional unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    needed = start + int(np.prod(shape, dtype=np.uint64))
    if size != needed:
        raise _damaged(path, f"its header says {needed:,} bytes, it has {size:,}")
    return FileRows.whole(path, torch.uint8, shape, offset=start)


def _bytes(path: Path) -> np.ndarray:
    return np.fromfile(path, dtype=np.uint8)


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path.name} is damaged: {why}", str(path), "delete the file, then run again or copy it anew")
