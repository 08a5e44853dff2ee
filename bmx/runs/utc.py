"""UTC timestamps for results and logs, comparable with those in run ids."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

_FORMAT = "%Y-%m-%d %H:%M:%SZ"


def iso() -> str:
    """Now, for result.json: ``2025-11-22T04:00:00+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def stamp() -> str:
    """Now, for a line of log.txt: ``2025-11-22 04:00:00Z``."""
    return time.strftime(_FORMAT, time.gmtime())


class Formatter(logging.Formatter):
    """Writes the time of a line of log.txt as :func:`stamp` does."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return time.strftime(datefmt or _FORMAT, time.gmtime(record.created))
