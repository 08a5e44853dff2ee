"""Atomic checkpoint writes, with errors that name a full disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from bmx.engine.plain import not_plain
from bmx.errors import RunFailed
from bmx.files.atomic import replacing


def write(path: Path, by: Callable[[BinaryIO], None]) -> None:
    """Atomically replaces ``path`` with what ``by`` writes; a kill at any instant leaves the old file or the new one.

    Raises:
        RunFailed: the disk is full or the folder is not writable; the old file is untouched.
    """
    try:
        with replacing(path, "wb") as file:
            fill(cast(BinaryIO, file), by)
    except OSError as error:
        raise RunFailed(
            f"could not write {path.name}: {error.strerror or error}",
            str(path),
            "free some space or make the folder writable; what was written before is kept",
        ) from error


class _Told(io.RawIOBase):
    """A file that records the error of a failed write and lets the writer go on.

    torch's zip writer loses the reason ("unexpected pos 7936 vs 7888"), and ends the process where it is closed after
    a write that failed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return self.file.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def fill(file: BinaryIO, by: Callable[[BinaryIO], None]) -> None:
    """Calls ``by`` to write into a file; raises OSError where a write failed."""
    told = _Told(file)
    by(cast(BinaryIO, told))
    if told.error is not None:
        raise told.error


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin with a write that survives a kill, on whatever file system $TMPDIR is."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        odd = not_plain(checkpoint)
        if odd is not None:
            raise RunFailed(
                f"a checkpoint cannot hold a {odd[1].__name__}: it could not be read back without running code",
                odd[0],
                "give numbers, text, tensors, and lists and dictionaries of them in the callback's state_dict",
            )
        write(Path(path), lambda file: torch.save(checkpoint, file))
