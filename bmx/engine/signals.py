"""Ctrl-C, SIGTERM, a hangup and SLURM's notice, turned into a stop between two optimiser steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bmx.errors import Interrupted
from bmx.runs import slurm
from bmx.runs.stop_signals import handled

NAMES = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    # The terminal was closed, or a connection broke; what is started with nohup ignores it and goes on.
    signal.SIGHUP: "SIGHUP: nobody reads its output any more",
}
# What `#SBATCH --signal=SIGUSR1@90` sends before the time is up; Lightning listens for the same one.
REQUEUE = signal.SIGUSR1
REQUEUED_BY = "SIGUSR1"


class StopRequest:
    """Remembers that somebody wants the run to stop.

    While ``deferred`` the request waits for whoever asks :attr:`signal`; otherwise it is raised on the spot. A second
    Ctrl-C does not wait.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self.deferred = False
        self.on_request: Callable[[], None] = lambda: None

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal is not None:
            raise KeyboardInterrupt
        self.signal = NAMES.get(signal.Signals(number), REQUEUED_BY)
        if not self.deferred:
            raise Interrupted(f"stopped by {self.signal}")
        self.on_request()


@contextmanager
def watch_signals() -> Iterator[StopRequest]:
    """Catches the signals that ask for a stop while the context lasts, and in a SLURM job SIGUSR1."""
    request = StopRequest()
    with handled(request.handle, [REQUEUE] if slurm.job_id() else []):
        yield request
