"""Redirects the output of a job that shares its terminal with others to the job's own log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bmx.files.output import write_into


@contextmanager
def into(log: Path) -> Iterator[None]:
    """Context that appends standard output and standard error, child processes' too, to a file.

    Workers of joblib and ray write to their parent's terminal: displays that are redrawn would overwrite
    each other there.
    """
    streams = sys.stdout, sys.stderr
    _flush()
    before = os.dup(1), os.dup(2)
    try:
        write_into(log)
        yield
    finally:
        _flush()
        sys.stdout, sys.stderr = streams
        for descriptor, number in zip(before, (1, 2), strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
