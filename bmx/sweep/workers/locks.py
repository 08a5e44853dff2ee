"""Who runs a job: at most one process at a time, on however many machines share the directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bmx.files.lock import HeldFile, try_lock

CLAIM = ".claim"


def take(run: Path) -> HeldFile | None:
    """Claim a job's directory, which is made if it is missing; None where another process holds it.

    Where a file system has no locks every claim succeeds, and the lock of the run itself still refuses a second writer.
    """
    return take_file(run / CLAIM)


def take_file(path: Path, wait: bool = False) -> HeldFile | None:
    """Claim a file, as :func:`take`; with ``wait`` stay until it is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited by jobs: their parent holds the claim for them.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if not try_lock(descriptor, wait=wait):
        os.close(descriptor)
        return None
    return HeldFile(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """While it lasts, no other process is between the same two lines."""
    claim = take_file(path, wait=True)
    try:
        yield
    finally:
        if claim is not None:
            claim.release()
