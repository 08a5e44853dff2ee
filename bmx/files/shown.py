"""Formats paths for display, as the user would type them."""

from __future__ import annotations

from pathlib import Path


def shown(path: Path | str) -> str:
    """A path relative to the current folder if it is inside, else unchanged."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):  # OSError: the current folder has been deleted
        return str(path)
