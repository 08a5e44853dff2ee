"""Notes which error texts of bmx are made, in this process and in those that it starts.

A site is where an error's text stands in the sources: file, line and column of the call that makes it. Each process
appends what it makes first to one file; a run of tests reads them together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

VARIABLE = "BMX_ERROR_NOTES"
"""Names the folder that the notes go to."""


def watch() -> None:
    """Have every error of bmx noted from here on; nothing where no folder is named or bmx is not there."""
    if not os.environ.get(VARIABLE):
        return
    try:
        from bmx.errors import BmxError
    except ImportError:
        return
    original: Any = BmxError.__init__
    if original.__module__ == __name__:
        return
    root = Path(sys.modules["bmx"].__file__ or "").resolve().parent.parent
    seen: set[tuple[object, int]] = set()

    def noted(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is self:
            frame = frame.f_back
        at = (frame.f_code, frame.f_lasti)
        if at not in seen:
            seen.add(at)
            _note(frame, root)

    BmxError.__init__ = noted  # type: ignore[method-assign]


def _note(frame: Any, root: Path) -> None:
    line, _, column, _ = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    folder = os.environ.get(VARIABLE)
    try:
        file = Path(frame.f_code.co_filename).resolve().relative_to(root)
        descriptor = os.open(f"{folder}/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except (OSError, ValueError):  # the run of tests has ended, or the file is not one of bmx
        return
    try:
        os.write(descriptor, f"{file}:{line}:{column}\n".encode())
    finally:
        os.close(descriptor)
