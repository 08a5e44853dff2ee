"""Run ids: monotonic UTC timestamps, ``20251122-040000-1a2b``.

An id is the UTC time of creation, cut into 1/65536 of a second (the four hex digits), so ids sort by time as plain
text. UTC, because local time repeats an hour every autumn and differs between a container and its host. The last id
issued is stored in ``<outputs>/.clock``: when the machine's clock jumps back, the next id is the last one plus one
tick, and the newest run still has the greatest id, over all verbs and names and without looking at a single run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
CLOCK = ".clock"
_TICKS = 65536
_LAST_TICK = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * _TICKS


def from_ticks(ticks: int) -> str:
    """The id of a time in ticks of 1/65536 s since 1970."""
    seconds, fraction = divmod(ticks, _TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H%M%S}-{fraction:04x}"


def to_ticks(run_id: str) -> int:
    """The time of an id in ticks of 1/65536 s since 1970; ValueError if it is not one."""
    if not PATTERN.fullmatch(run_id):
        raise ValueError(f"{run_id!r} is not a run id such as 20251122-040000-1a2b")
    moment = datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * _TICKS + int(run_id[16:], 16)


def from_seconds(seconds: float) -> str:
    """The id of a time in seconds since 1970, such as a folder's mtime."""
    return from_ticks(max(0, int(seconds * _TICKS)))


def issue(outputs: Path) -> str:
    """The next id of this outputs folder, greater than every one issued before it, by any process."""
    now = time.time_ns() * _TICKS // 10**9
    try:
        clock = os.open(outputs / CLOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # another user's folder, say: then the machine's clock is all there is to go by
        return from_ticks(now)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the atomic mkdir still keeps runs apart
            fcntl.flock(clock, fcntl.LOCK_EX)
        ticks = max(now, _last(clock) + 1)
        run_id = from_ticks(ticks)
        os.pwrite(clock, f"{run_id}\n".encode(), 0)  # always the same length, so never half a line of each
        return run_id
    finally:
        os.close(clock)


def _last(clock: int) -> int:
    try:
        last = to_ticks(os.pread(clock, 64, 0).decode().strip())
    except ValueError:
        return 0
    return last if last < _LAST_TICK else 0
