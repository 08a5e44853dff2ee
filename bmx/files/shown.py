"""Paths as the person at the terminal would type them."""

from __future__ import annotations

from pathlib import Path


def shown(path: Path | str) -> str:
    """A path relative to where the user stands if it lies there, else as it is."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):  # OSError: the folder one stands in has been deleted
        return str(path)
