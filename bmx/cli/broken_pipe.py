"""Output whose reader may go away, as in ``bmx train | head`` or when a connection breaks: no run fails by it."""

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

# What a write says where nobody reads any more: a pipe that was closed, a terminal that is gone.
_GONE = (errno.EPIPE, errno.EIO)


class Outlet(io.FileIO):
    """A file that is written to until its reader has gone; a run is then asked to stop, and what follows is dropped.

    Where SIGHUP is ignored, as under nohup, the run goes on unseen, and so does one that nothing can ask to stop: a
    measurement, say, which has nothing to go on with later. Where there is no run, the write fails as any other.
    """

    gone = False
    # Whether a run has been begun; what is said of it at its end must not fail either.
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
    """From here on there is something to lose: output that nobody reads is dropped, and fails nothing."""
    for stream in (sys.stdout, sys.stderr):
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, Outlet):
            raw.of_run = True


def open_outlets() -> None:
    """Put an :class:`Outlet` behind standard output and standard error, where they are files of the system."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.flush()
        raw = io.BufferedWriter(Outlet(stream.fileno(), "w", closefd=False))
        again = io.TextIOWrapper(raw, stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through)
        setattr(sys, name, again)
    listen()
