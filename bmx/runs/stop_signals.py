"""The signals that ask a run or a sweep to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(handle: Callable[[int, FrameType | None], None], also: Iterable[int] = ()) -> Iterator[None]:
    """While it lasts, Ctrl-C, SIGTERM and SIGHUP call ``handle``; outside the main thread nothing does.

    SIGHUP is left alone where it is ignored, as under nohup.

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
