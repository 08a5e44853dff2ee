"""File lock that allows one writer per run directory, released when its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path

from bmx.errors import UsageError
from bmx.files.lock import HeldFile, try_lock

LOCK = ".lock"
_PATIENCE = 0.2  # seconds: a reader that asks whether a run is alive holds the lock for microseconds


class RunLock(HeldFile):
    """A held lock on a run directory."""

    def __init__(self, run: Path, descriptor: int) -> None:
        super().__init__(descriptor)
        self.run = run

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, 0)
        super().release()


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
    while not try_lock(descriptor):
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
        )
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
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
