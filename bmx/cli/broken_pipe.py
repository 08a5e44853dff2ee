"""Keeps runs alive when the reader of their output goes away: ``bmx train | head``, or a lost connection."""

from __future__ import annotations

import errno
import io
import signal
import sys
from typing import TYPE_CHECKING

from bmx.runs import stop_signals
from bmx.runs.report.foot import listen

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Errors of a write without a reader: a closed pipe, a terminal that is gone.
_GONE = (errno.EPIPE, errno.EIO)


class Outlet(io.FileIO):
    """A file that drops output once its reader has gone; the run is then asked to stop.

    Where SIGHUP is ignored, as under nohup, the run continues unseen, and so does one that cannot be asked to stop: a
    measurement, say, which could not be resumed later. Where there is no run, the write fails as any other.
    """

    gone = False
    # Whether a run has been begun; output about it at its end must not fail either.
    of_run = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self.gone:
            return size
        handler = signal.getsignal(signal.SIGHUP)
        self.of_run = self.of_run or callable(handler)
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _GONE or (handler == signal.SIG_DFL and not self.of_run):
                raise
            self.gone = True
            if callable(handler):
                stop_signals.lose_reader()
            return size


def begin_run() -> None:
    """Marks the start of a run: from here on output that nobody reads is dropped, and raises nothing."""
    for stream in (sys.stdout, sys.stderr):
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, Outlet):
            raw.of_run = True


def open_outlets() -> None:
    """Puts an :class:`Outlet` behind standard output and standard error, where they are operating-system files."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.flush()
        raw = io.BufferedWriter(Outlet(stream.fileno(), "w", closefd=False))
        again = io.TextIOWrapper(raw, stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through)
        setattr(sys, name, again)
    listen()
