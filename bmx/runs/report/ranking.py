"""The table at the end of a sweep: configurations, the best first, and what may be said of their order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_ASCII = str.maketrans({"–": "-", "…": "...", "±": "+-", "²": "2", "·": "-"})


@dataclass(frozen=True)
class Ranking:
    """A table as text.

    Attributes:
        title: the fact in one line.
        columns: the headings.
        rows: the cells of each row, as many as there are columns.
        best: how many of the first rows are shown as the best: those that cannot be told apart.
        sentences: what may be said of the order.
        notes: what each heading means, where it needs saying.
        more: rows that are left out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: frozenset[int] = frozenset()
    sentences: Sequence[str] = ()
    notes: Sequence[str] = ()
    more: int = 0


def show(ranking: Ranking, console: Console | None = None) -> None:
    """Print the table; plain aligned lines where the output is not a terminal."""
    from rich.console import Console

    console = console or Console()
    if console.is_terminal:
        _show_rich(ranking, console)
        return
    encoding = getattr(console.file, "encoding", None) or "utf-8"
    for line in plain(ranking):
        if not encoding.lower().startswith("utf"):
            line = line.translate(_ASCII).encode(encoding, "replace").decode(encoding)
        console.file.write(line + "\n")


def plain(ranking: Ranking) -> list[str]:
    """The table as aligned lines of text."""
    table = [list(ranking.columns), *(list(row) for row in ranking.rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(ranking.columns))]
    numeric = [_numeric([row[i] for row in ranking.rows]) for i in range(len(ranking.columns))]
    lines = [ranking.title]
    for row in table:
        cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    if ranking.more:
        lines.append(f"  and {ranking.more:,} more")
    lines += [f"  {note}" for note in ranking.notes]
    return [*lines, *ranking.sentences]


def _numeric(cells: list[str]) -> bool:
    return all(not cell or cell[0].isdigit() or cell[0] in "-–." for cell in cells)


def _show_rich(ranking: Ranking, console: Console) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for i, column in enumerate(ranking.columns):
        right = _numeric([row[i] for row in ranking.rows])
        table.add_column(Text(column), justify="right" if right else "left", overflow="fold")
    for at, row in enumerate(ranking.rows):
        table.add_row(*(Text(cell) for cell in row), style="bold green" if at in ranking.best else None)
    console.print()
    console.print(Text(ranking.title, "bold"))
    console.print()
    console.print(Padding(table, (0, 0, 0, 2)))
    if ranking.more:
        console.print(Text(f"  and {ranking.more:,} more", "dim"))
    for note in ranking.notes:
        console.print(Text(f"  {note}", "dim"))
    if ranking.sentences:
        console.print()
    for sentence in ranking.sentences:
        console.print(Text(sentence), soft_wrap=True)


def relative(path: str | os.PathLike[str]) -> str:
    """A path as it is shortest to type from here."""
    found = os.path.relpath(path)
    return str(path) if found.startswith("..") else found
