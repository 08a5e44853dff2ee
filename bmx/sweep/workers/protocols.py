"""Interfaces of a pool: the source of jobs, the progress display, and the rules for jobs that fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState


@dataclass(frozen=True)
class Rules:
    """How a pool handles jobs that fail.

    Attributes:
        stop_on_error: start no further job once one has failed.
        timeout: seconds that a job may take; None for no limit.
        retries: how often a failed job is started again, from its last checkpoint.
    """

    stop_on_error: bool = False
    timeout: float | None = None
    retries: int = 0


class JobSource(Protocol):
    """A source of jobs."""

    def next(self) -> Job | None:
        """The next job to run; None if there is none now."""

    def finished(self, job: Job, end: JobState) -> None:
        """Called for every job that has ended, also those that had before."""

    def hopeless(self, job: Job, rows: list[dict[str, Any]]) -> bool:
        """Whether a running job should be stopped early; ``rows`` are its epochs so far."""

    def exhausted(self) -> bool:
        """Whether no further job will come."""


class Watcher(Protocol):
    """Progress display; every call is cheap."""

    def started(self, job: Job, run: Path, again: bool) -> None: ...

    def progress(self, job: Job, rows: list[dict[str, Any]]) -> None: ...

    def ended(self, job: Job, end: JobState, seconds: float, before: bool) -> None: ...

    def elsewhere(self, jobs: int) -> None: ...

    def tick(self) -> None: ...
