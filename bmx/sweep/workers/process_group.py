"""Process groups of jobs, which do not outlive the process that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Has the kernel send ``number`` to this process when its parent dies; at once if it has died already.

    Linux only; elsewhere a dead parent is detected by the closed pipe.

    Args:
        parent: the process id of the parent, as the parent knew it.
        number: the signal.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def kill_group(pid: int, number: int) -> None:
    """Sends a signal to a job and all its child processes; ignored if it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
