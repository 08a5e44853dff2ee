"""Outcome of a job whose process has ended, and orderly interruption of a sweep."""

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
"""Exit code of a job whose configuration cannot run: a retry would not help."""
INTERRUPTED = 130


def judge(run: Path, code: int | None, stopped: str, epochs: int, timeout: float | None) -> JobState:
    """The outcome of a job; a failure that the job could not record itself is recorded here.

    Args:
        run: its run directory.
        code: the exit code of its process, negative for a signal.
        stopped: why the pool stopped it: ``pruned``, ``timeout``, or empty if it did not.
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
    """Context in which termination signals call ``interrupt`` with the reason as text."""
    return handled(lambda number, frame: interrupt(stop_reason(number)))


def _failed(run: Path, reason: str, refused: bool = False) -> JobState:
    job_status.set_failed(run, reason, refused)
    end = job_status.read(run)
    # Failed even where that could not be recorded.
    return end if end.state not in ("missing", "half") else JobState("refused" if refused else "failed", {}, reason)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
