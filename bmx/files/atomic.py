"""Files that are either whole or not there: written beside their place, flushed to disk, renamed."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w", **opened: Any) -> Iterator[IO[Any]]:
    """An open file that takes the place of ``path`` when the block ends, in one step.

    A reader sees the old file or the new one at any instant, and so does whoever looks after a kill or a power cut.
    Where the block raises, the old file stays and nothing is left beside it.

    Args:
        path: the file; its folder is made where it is missing.
        mode: as of ``open``; text is UTF-8.
        opened: more for ``open``, such as ``newline``.

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
    """Brings the names in a folder to disk; some file systems refuse, and then they need not be."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
