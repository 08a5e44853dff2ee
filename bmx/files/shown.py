"""Paths as the person at the terminal would type them."""

from __future__ import annotations

import os
from pathlib import Path


def shown(path: Path | str) -> str:
    """The path as one would type it here: relative to the current folder if it is inside, else absolute."""
    absolute = str(Path(path).absolute())
    try:
        relative = os.path.relpath(absolute)
    except (OSError, ValueError):  # the current folder is gone
        return absolute
    return absolute if relative.startswith("..") else relative
