"""Job locks: at most one process runs a job, on however many machines share the directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bmx.files.lock import HeldFile, try_lock

CLAIM = ".claim"


def take(run: Path) -> HeldFile | None:
    """Locks a job's directory, which is created if missing; None where another process holds the lock.

    Without file-system locks every attempt succeeds, and the lock of the run itself still rejects a second writer.
    """
    return take_file(run / CLAIM)


def take_file(path: Path, wait: bool = False) -> HeldFile | None:
    """Locks a file, as :func:`take`; with ``wait`` blocks until it is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited by jobs: their parent holds the lock for them.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if not try_lock(descriptor, wait=wait):
        os.close(descriptor)
        return None
    return HeldFile(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Critical section across processes, guarded by a lock file."""
    claim = take_file(path, wait=True)
    try:
        yield
    finally:
        if claim is not None:
            claim.release()
