"""Keeps a job from outliving the process that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to this process when its parent dies; at once if it has died already.

    Linux only; elsewhere a dead parent is noticed by the closed pipe.

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
    """Send a signal to a job and to every process that it has started; one that has ended is left alone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
