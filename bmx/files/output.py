"""Standard output and standard error that go into a file, those of child processes too."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def write_into(log: Path) -> None:
    """From here on, what this process and its children print is appended to ``log``, whose folder is made."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
