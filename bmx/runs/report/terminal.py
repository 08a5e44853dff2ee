"""Consoles that tables are printed on: a terminal in its width, or untruncated lines for pipes and files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bmx.runs.report.foot import colours, columns, is_terminal

if TYPE_CHECKING:
    from rich.console import Console


def console(width: int | None = None) -> Console:
    """The console for what is printed on standard output.

    Args:
        width: columns where it is no terminal, as nothing is cut to a width that nobody sees; rich's 80 if None.
    """
    from bmx.runs.report.paper import Paper

    stream = sys.stdout
    if not is_terminal(stream):
        return Paper(width=width, no_color=True) if width else Paper()
    wide = columns(stream)
    wished = os.environ.get("COLUMNS", "")
    if wished.isdecimal() and int(wished):
        wide = min(wide, int(wished))
    # Without colours there is no bold or pale either: who sets NO_COLOR reads with something that shows the codes.
    return Paper(width=wide, highlight=False, color_system="auto" if colours(stream) else None)


def wide(given: Console | None = None, width: int = 160) -> Console:
    """A console for tables; output that is piped is ``width`` columns, not cut to a width that nobody sees."""
    if given is None:
        return console(width)
    if given.is_terminal:
        return given
    from bmx.runs.report.paper import Paper

    return Paper(file=given.file, width=width, no_color=True)
