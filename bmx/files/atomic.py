"""Atomic file writes: to a temporary file in the same folder, flushed to disk, renamed."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w", **opened: Any) -> Iterator[IO[Any]]:
    """Opens a file that replaces ``path`` atomically when the block ends.

    A reader sees the old file or the new one at any instant, also after a kill or a power cut.
    Where the block raises, the old file stays and no temporary file remains.

    Args:
        path: the file; its folder is created where it is missing.
        mode: as of ``open``; text is UTF-8.
        opened: further arguments of ``open``, such as ``newline``.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    if "b" not in mode:
        opened.setdefault("encoding", "utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of several machines may write into one folder, so a process id would not tell them apart.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open(mode, **opened) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder to disk; file systems that reject this need no flush."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
