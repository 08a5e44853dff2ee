"""Ranking table of a sweep: configurations, the best first, and remarks on the significance of their order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bmx.runs.report.signs import charset, spelled
from bmx.runs.report.terminal import console as paper

if TYPE_CHECKING:
    from rich.console import Console


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
    console = console or paper()
    if console.is_terminal:
        _show_rich(ranking, console)
        return
    signs = charset(console.file)
    for line in plain(ranking, signs):
        console.file.write(line + "\n")


def plain(ranking: Ranking, signs: str = "utf-8") -> list[str]:
    """The table as aligned lines of text, in the characters of an encoding."""
    table = [[spelled(cell, signs) for cell in row] for row in (ranking.columns, *ranking.rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(ranking.columns))]
    numeric = [_numeric([row[i] for row in ranking.rows]) for i in range(len(ranking.columns))]
    lines = [ranking.title]
    for row in table:
        cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    if ranking.more:
        lines.append(f"  and {ranking.more:,} more")
    lines += [f"  {note}" for note in ranking.notes]
    return [spelled(line, signs) for line in (*lines, *ranking.sentences)]


def _numeric(cells: list[str]) -> bool:
    return all(not cell or cell[0].isdigit() or cell[0] in "-–." for cell in cells)


def _show_rich(ranking: Ranking, console: Console) -> None:
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    table = TextTable(indent=2)
    for i, column in enumerate(ranking.columns):
        right = _numeric([row[i] for row in ranking.rows])
        table.add_column(column, right=right, wraps=not right)
    for at, row in enumerate(ranking.rows):
        table.add_row(*row, style="bold green" if at in ranking.best else "")
    console.print()
    console.print(Text(ranking.title, "bold"), soft_wrap=True)
    console.print()
    console.print(table)
    if ranking.more:
        console.print(Text(f"  and {ranking.more:,} more", "dim"), soft_wrap=True)
    for note in ranking.notes:
        console.print(Text(f"  {note}", "dim"), soft_wrap=True)
    if ranking.sentences:
        console.print()
    for sentence in ranking.sentences:
        console.print(Text(sentence), soft_wrap=True)


def relative(path: str | os.PathLike[str]) -> str:
    """A path as it is shortest to type from here."""
    found = os.path.relpath(path)
    return str(path) if found.startswith("..") else found
