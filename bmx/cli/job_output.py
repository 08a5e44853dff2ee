"""Redirects the output of a job that shares its terminal with others to the job's own log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def into(log: Path) -> Iterator[None]:
    """Context that appends standard output and standard error, child processes' too, to a file.

    Workers of joblib and ray write to their parent's terminal: displays that are redrawn would overwrite
    each other there.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    streams = sys.stdout, sys.stderr
    _flush()
    before = os.dup(1), os.dup(2)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        with (
            open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False) as sys.stdout,
            open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False) as sys.stderr,
        ):
            yield
    finally:
        sys.stdout, sys.stderr = streams
        for descriptor, number in zip(before, (1, 2), strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(file)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
