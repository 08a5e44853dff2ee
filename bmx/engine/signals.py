"""Ctrl-C, SIGTERM, a hangup and SLURM's notice, turned into a stop between two optimiser steps."""

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
    """Remembers that somebody wants the run to stop.

    While ``deferred`` the request waits for whoever asks :attr:`reason`; otherwise it is raised on the spot. A second
    Ctrl-C does not wait.

    Attributes:
        reason: why to stop, in words; None while nobody has asked.
        requeued: SLURM asks, which starts the job again.
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
    """Catches the signals that ask for a stop while the context lasts, and in a SLURM job SIGUSR1."""
    request = StopRequest()
    with handled(request.handle, [REQUEUE] if slurm.job_id() else []):
        yield request
