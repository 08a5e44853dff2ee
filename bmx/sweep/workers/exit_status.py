"""What became of a job whose process has ended, and how a sweep itself is ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from bmx.runs.stop_signals import handled
from bmx.runs.stop_signals import reason as stop_reason
from bmx.sweep import job_status
from bmx.sweep.job_status import JobState

USAGE = 2
"""Exit code of a job whose configuration cannot run: trying again would not help."""
INTERRUPTED = 130


def judge(run: Path, code: int | None, stopped: str, epochs: int, timeout: float | None) -> JobState:
    """What became of a job; what it could not write itself is written for it.

    Args:
        run: its run directory.
        code: the exit code of its process, negative for a signal.
        stopped: why it was told to stop: ``pruned``, ``timeout``, or empty if it was not.
        epochs: how many it had finished.
        timeout: the longest time that it may take, seconds.
    """
    end = job_status.read(run)
    if end.state == "done":
        return end
    if stopped == "pruned":
        job_status.set_pruned(run, epochs)
        return job_status.read(run)
    if stopped == "timeout":
        return _failed(run, f"it took longer than {timeout:g} s")
    if code == USAGE:
        return _failed(run, end.reason or job_status.last_line(run) or "its configuration cannot run", refused=True)
    if end.state == "failed" and code is not None and code > 0:
        return end
    if code is not None and code < 0:
        hint = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
        return _failed(run, f"it was killed by {_name(-code)}{hint}")
    if code == INTERRUPTED:
        return end
    return _failed(run, job_status.last_line(run) or f"exit code {code}, and no result")


def orderly(interrupt: Callable[[str], None]) -> AbstractContextManager[None]:
    """While it lasts, the signals that ask for a stop call ``interrupt`` with the reason, in words."""
    return handled(lambda number, frame: interrupt(stop_reason(number)))


def _failed(run: Path, reason: str, refused: bool = False) -> JobState:
    job_status.set_failed(run, reason, refused)
    end = job_status.read(run)
    # Where it could not be written down, it is no less so.
    return end if end.state not in ("missing", "half") else JobState("refused" if refused else "failed", {}, reason)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
