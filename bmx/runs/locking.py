"""One writer per run directory: a lock that dies with its process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from bmx.errors import UsageError

LOCK = ".lock"
_PATIENCE = 0.2  # seconds: a reader that asks whether a run is alive holds the lock for microseconds

_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """A held lock on a run directory: a context manager, or call ``release()``; the kernel frees it on any death."""

    def __init__(self, run: Path, descriptor: int) -> None:
        self.run = run
        self._descriptor: int | None = descriptor
        _held.add(self)

    def release(self) -> None:
        """Give the run back; a second call does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _forget_in_child() -> None:
    # A forked worker shares the open file, and with it the lock: it would keep a dead parent's run locked.
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_forget_in_child)


def lock(run: Path) -> RunLock:
    """Hold a run directory for writing until released or until this process ends, however it ends.

    Raises UsageError naming the process that holds it. On a file system without locks it holds nothing and goes on.
    """
    path = run / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UsageError(
            f"the run {run.name} cannot be written: {error.strerror}", str(path), "check the path and its permissions"
        ) from error
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                break
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            holder = os.pread(descriptor, 300, 0).decode(errors="replace").split()
            os.close(descriptor)
            pid, host = (holder[0], holder[1]) if len(holder) == 2 else ("another", "this file system")
            raise UsageError(
                f"the run {run.name} is being written by process {pid} on host {host}",
                str(run),
                "wait until it ends, or stop it" + (f": kill {pid}" if len(holder) == 2 else ""),
            ) from None
    with contextlib.suppress(OSError):  # the content is only for the message; the lock itself is the kernel's
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
    return RunLock(run, descriptor)


def is_locked(run: Path) -> bool:
    """Whether some process holds the run's lock right now; False where that cannot be known."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(descriptor)
    return False
