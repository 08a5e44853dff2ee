"""Exclusive file locks, which the kernel releases when the process dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from types import TracebackType
from typing import Self

_held: weakref.WeakSet[HeldFile] = weakref.WeakSet()


class HeldFile:
    """A held file lock: a context manager, or call ``release()``.

    Args:
        descriptor: of the open, locked file; closed by the release.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        _held.add(self)

    def release(self) -> None:
        """Releases the lock; a second call does nothing."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _forget_in_child() -> None:
    # A forked worker shares the open file, and with it the lock: it would keep its dead parent's lock.
    for held in list(_held):
        HeldFile.release(held)


os.register_at_fork(after_in_child=_forget_in_child)


def try_lock(descriptor: int, how: int = fcntl.LOCK_EX, wait: bool = False) -> bool:
    """Locks an open file; False where another process holds the lock.

    The lock is flock's, which NFS (version 4) and every local file system support. Without lock support every attempt
    succeeds.
    """
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
