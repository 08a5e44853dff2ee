"""Files that are either whole or not there: written beside the target, flushed to disk, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from bmx.engine.plain import not_plain
from bmx.errors import RunFailed


def write(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Replaces ``path`` with what ``fill`` writes; a kill at any instant leaves the old file or the new one.

    Raises:
        RunFailed: the disk is full or the folder cannot be written; the old file is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:
        # torch.save turns a full disk into a RuntimeError of its zip writer.
        temporary.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and "write" not in str(error).lower():
            raise
        raise RunFailed(
            f"could not write {path.name}: {getattr(error, 'strerror', None) or error}",
            str(path),
            "free some space or make the folder writable, then go on with `bmx train resume=latest`",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
