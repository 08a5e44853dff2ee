"""Handlers of the signals that stop a run or a sweep: Ctrl-C, SIGTERM, SIGHUP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

CTRL_C, LOST_READER = "Ctrl-C", "nobody reads its output any more, as after `| head`"
_NAMES = {
    signal.SIGINT: CTRL_C,
    # The terminal was closed, or a connection broke; what is started with nohup ignores it and goes on.
    signal.SIGHUP: "SIGHUP: its terminal was closed",
}
_lost_reader = False
reader_lost = False
"""Whether a run of this command was stopped because the reader of its output pipe had gone."""


def forget() -> None:
    """Reset the state for another command in the same process."""
    global _lost_reader, reader_lost
    _lost_reader = reader_lost = False


def lose_reader() -> None:
    """Raise SIGHUP to stop the run: the output was a pipe, and its reader has gone."""
    global _lost_reader, reader_lost
    _lost_reader = reader_lost = True
    signal.raise_signal(signal.SIGHUP)


def reason(number: int) -> str:
    """The reason of a stop by a signal, as a message: ``stopped by Ctrl-C``."""
    global _lost_reader
    if number == signal.SIGHUP and _lost_reader:
        _lost_reader = False
        return f"stopped: {LOST_READER}"
    try:
        return f"stopped by {_NAMES.get(signal.Signals(number)) or signal.Signals(number).name}"
    except ValueError:
        return f"stopped by signal {number}"


@contextmanager
def handled(handle: Callable[[int, FrameType | None], None], also: Iterable[int] = ()) -> Iterator[None]:
    """Context manager in which Ctrl-C, SIGTERM and SIGHUP call ``handle``; no effect outside the main thread.

    SIGHUP is skipped where it is ignored, as under nohup.

    Args:
        handle: takes the signal's number, and the frame it came in.
        also: more signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = [signal.SIGINT, signal.SIGTERM, *also]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        caught.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
