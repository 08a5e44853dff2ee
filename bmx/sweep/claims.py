"""Who runs a job: at most one process at a time, on however many machines share the directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

CLAIM = ".claim"


class Claim:
    """A held claim on a job; the kernel gives it back when its process dies, however it dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the job back; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take(run: Path) -> Claim | None:
    """Claim a job's directory, which is made if it is missing; None where another process holds it.

    The lock is flock's, which NFS (version 4) and every local file system keep. Where there are no locks every claim
    succeeds, and the lock of the run itself still refuses a second writer.
    """
    return take_file(run / CLAIM)


def take_file(path: Path, wait: bool = False) -> Claim | None:
    """Claim a file, as :func:`take`; with ``wait`` stay until it is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited by jobs: their parent holds the claim for them.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            return None
    return Claim(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """While it lasts, no other process is between the same two lines."""
    claim = take_file(path, wait=True)
    try:
        yield
    finally:
        if claim is not None:
            claim.release()
