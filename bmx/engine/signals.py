"""Stops a run between two optimiser steps on Ctrl-C, SIGTERM, SIGHUP, or SLURM's SIGUSR1."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bmx.errors import Interrupted
from bmx.runs import slurm
from bmx.runs.stop_signals import handled, reason

# What `#SBATCH --signal=SIGUSR1@90` sends before the time is up; Lightning listens for the same one.
REQUEUE = signal.SIGUSR1


class StopRequest:
    """A request to stop the run.

    While ``deferred``, the request is only recorded, for code that polls :attr:`reason`; otherwise it is raised at
    once. A second Ctrl-C is always raised at once.

    Attributes:
        reason: why to stop, for messages; None without a request.
        requeued: the request is SLURM's, which starts the job again.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.requeued = False
        self.deferred = False
        self.on_request: Callable[[], None] = lambda: None

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.reason is not None:
            raise KeyboardInterrupt
        self.reason, self.requeued = reason(number), number == REQUEUE
        if not self.deferred:
            raise Interrupted(self.reason)
        self.on_request()


@contextmanager
def watch_signals() -> Iterator[StopRequest]:
    """Context manager that turns stop signals, and SIGUSR1 in a SLURM job, into a request."""
    request = StopRequest()
    with handled(request.handle, [REQUEUE] if slurm.job_id() else []):
        yield request
