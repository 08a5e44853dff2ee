"""Where tables are printed: the terminal as it is, or lines that nothing cuts where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def wide(console: Console | None = None, width: int = 160) -> Console:
    """A console for tables; output that is piped is ``width`` columns, not cut to a width that nobody sees."""
    from rich.console import Console

    console = console or Console()
    return console if console.is_terminal else Console(file=console.file, width=width, no_color=True)
