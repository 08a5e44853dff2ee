"""Writes a data set in memory to disk, as rows from which batches are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cache_folder
from bmx.data.pipeline.fingerprint import fingerprint
from bmx.data.pipeline.rows import FileRows
from bmx.errors import UsageError
from bmx.files.atomic import replacing

# Samples written at once.
_CHUNK = 4096


def keep_on_disk(source: Source) -> Source:
    """The same source with the training inputs in a file of the cache folder; the test set does not change.

    The file is named by a content hash, so the same set is written once.

    Raises:
        UsageError: the cache folder cannot be written.
    """
    if source.train.on_disk:
        return source
    path = cache_folder() / "rows" / f"{source.spec.name}-{fingerprint(source)}.bin"
    inputs = source.train.inputs
    assert isinstance(inputs, torch.Tensor)
    if not path.exists() or path.stat().st_size != inputs.numel() * inputs.element_size():
        write_rows(path, inputs.split(_CHUNK))
    rows = FileRows.whole(path, inputs.dtype, tuple(inputs.shape))
    return Source(Arrays(rows, source.train.targets), source.test, source.spec)


def write_rows(path: Path, chunks: Iterable[torch.Tensor]) -> None:
    """Writes consecutive samples to a file, atomically.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        with replacing(path, "wb") as file:
            for part in chunks:
                file.write(part.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    except OSError as error:
        raise UsageError(
            f"data.in_memory=false needs a folder for the samples, and it cannot be written: {error.strerror}",
            str(path.parent),
            "set $BMX_CACHE to a folder with room, or use data.in_memory=true",
        ) from error
