"""Text tables fitted to the terminal without breaking words: columns are wrapped, left out, or transposed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Cell = str | Text
_DIM = "dim"
_READABLE = 20
"""Columns that a cell which is broken at its hyphens keeps as long as something else can be left out."""


@dataclass
class Column:
    """A column.

    Attributes:
        heading: its words may stand below each other.
        right: numbers, which are aligned at the right.
        wraps: its cells may be broken between words.
        hyphens: and after a hyphen, a comma or a slash within one.
        spare: it may be left out where there is no room; the highest number goes first, 0 is kept.
        style: of its cells.
    """

    heading: Text
    right: bool = False
    wraps: bool = False
    hyphens: bool = False
    spare: int = 0
    style: str = ""
    cells: list[Text] = field(default_factory=list)

    @property
    def natural(self) -> int:
        """The width of its longest line."""
        return max((text.cell_len for text in (self.heading, *self.cells)), default=0)

    def least(self, hard: bool = True) -> int:
        """The width below which a word would be broken; not ``hard``: below which it becomes hard to read."""
        if self.hyphens and not hard:
            return min(self.natural, max(_READABLE, self.least()))
        cells = [_longest_word(c, self.hyphens) if self.wraps else c.cell_len for c in self.cells]
        return max([_longest_word(self.heading), *cells])


class TextTable:
    """A table without lines, drawn in the width that there is.

    Args:
        headings: whether there is a row of them.
        gap: spaces between two columns.
        indent: spaces before the first.
    """

    def __init__(self, headings: bool = True, gap: int = 2, indent: int = 0) -> None:
        self.columns: list[Column] = []
        self.row_styles: list[str] = []
        self._headings = headings
        self._gap = gap
        self._indent = indent

    @property
    def row_count(self) -> int:
        return len(self.row_styles)

    def add_column(
        self,
        heading: Cell = "",
        right: bool = False,
        wraps: bool = False,
        hyphens: bool = False,
        spare: int = 0,
        style: str = "",
    ) -> None:
        """Add a column; see :class:`Column`."""
        self.columns.append(Column(_text(heading), right, wraps, hyphens, spare, style))

    def add_row(self, *cells: Cell, style: str = "") -> None:
        """Add a row; cells that are not given are empty."""
        for number, column in enumerate(self.columns):
            column.cells.append(_text(cells[number] if number < len(cells) else ""))
        self.row_styles.append(style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, min(options.max_width, self._width([c.natural for c in self.columns])))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.laid_out(options.max_width):
            if isinstance(line, Text):
                yield from _segments(line, console)
            yield Segment.line()

    def laid_out(self, width: int) -> Iterable[Text]:
        """The table as lines of text, for so many columns of a terminal."""
        kept = list(self.columns)
        while True:
            spare = max((c.spare for c in kept), default=0)
            widths = _fitted(kept, width - self._indent - self._gap * (len(kept) - 1), hard=not spare)
            if widths is not None:
                return self._rows(kept, widths)
            if not spare:
                return self._narrow(kept, width)
            kept = [column for column in kept if column.spare != spare]

    def _width(self, widths: Sequence[int]) -> int:
        return self._indent + sum(widths) + self._gap * max(0, len(widths) - 1)

    def _rows(self, columns: Sequence[Column], widths: Sequence[int]) -> list[Text]:
        lines: list[Text] = []
        if self._headings:
            lines += self._row([c.heading for c in columns], columns, widths, _DIM)
        for number, style in enumerate(self.row_styles):
            lines += self._row([c.cells[number] for c in columns], columns, widths, style)
        return lines

    def _row(self, cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], style: str) -> list[Text]:
        parts_of = zip(cells, columns, widths, strict=True)
        wrapped = [_wrapped(cell, width, column.hyphens) for cell, column, width in parts_of]
        lines = []
        for number in range(max((len(parts) for parts in wrapped), default=0)):
            line = Text(" " * self._indent, end="")
            for at, (parts, column, width) in enumerate(zip(wrapped, columns, widths, strict=True)):
                part = parts[number] if number < len(parts) else Text()
                free = " " * (width - part.cell_len)
                line.append(" " * self._gap if at else "")
                line.append(free if column.right else "")
                line.append_text(_styled(part, style or column.style))
                line.append("" if column.right else free)
            line.rstrip()
            lines.append(line)
        return lines

    def _narrow(self, columns: Sequence[Column], width: int) -> Iterable[Text]:
        """On its side, a column for each row; where that has no room either, a line for each cell."""
        turned = self._turned(columns)
        widths = _fitted(turned.columns, width - self._indent - self._gap * (len(turned.columns) - 1))
        if self._headings and self.row_count > 1 and widths is not None:
            return turned._rows(turned.columns, widths)
        return self._stacked(columns, width)

    def _turned(self, columns: Sequence[Column]) -> TextTable:
        table = TextTable(headings=False, gap=self._gap, indent=self._indent)
        table.add_column(style=_DIM, wraps=True)
        for number in range(self.row_count):
            table.add_column(right=True, wraps=not number, style=self.row_styles[number])
        for column in columns:
            table.add_row(column.heading, *column.cells)
        for column in table.columns[1:]:
            column.wraps = True
        return table

    def _stacked(self, columns: Sequence[Column], width: int) -> list[Text]:
        """A line for each cell, after its heading where it has one."""
        lines: list[Text] = []
        label = max((c.heading.cell_len for c in columns), default=0) if self._headings else 0
        longest = max((_longest_word(cell) for c in columns for cell in c.cells), default=0)
        label = label if self._indent + label + 2 + longest <= width else 0
        for number, style in enumerate(self.row_styles):
            if number and self._headings:
                lines.append(Text("", end=""))
            for column in columns:
                cell = column.cells[number]
                if not cell.plain.strip():
                    continue
                head = f"{column.heading.plain:<{label}}" if self._headings else ""
                line = Text(" " * self._indent, end="")
                line.append(head, _DIM)
                line.append("  " if head.strip() else "")
                line.append_text(_styled(cell, style or column.style))
                lines += _wrapped(line, width)
        return lines


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _styled(text: Text, style: str) -> Text:
    found = text.copy()
    if style and text.plain:
        found.style = Style.parse(style) + (Style.parse(found.style) if isinstance(found.style, str) else found.style)
    return found


def _pieces(plain: str, hyphens: bool) -> list[str]:
    """What is not to be broken, with the space or hyphen after it."""
    return re.findall(r"[^ ,/-]*[,/-]+ ?|[^ ,/-]+ ?| " if hyphens else r"[^ ]+ ?| ", plain)


def _longest_word(text: Text, hyphens: bool = False) -> int:
    return max((cell_len(piece.rstrip(" ")) for piece in _pieces(text.plain, hyphens)), default=0)


def _wrapped(text: Text, width: int, hyphens: bool = False) -> list[Text]:
    """The text in lines of so many columns, broken at spaces; a longer word stays whole."""
    if text.cell_len <= width:
        return [text]
    lines: list[Text] = []
    begin = end = 0
    for piece in _pieces(text.plain, hyphens):
        if end > begin and cell_len(text.plain[begin:end] + piece.rstrip(" ")) > width:
            lines.append(text[begin:end])
            begin = end
        end += len(piece)
    lines.append(text[begin:end])
    for line in lines:
        line.rstrip()
    return lines


def _fitted(columns: Sequence[Column], room: int, hard: bool = True) -> list[int] | None:
    """The width of each column in so much room: as they are, or the widest narrowed; None where a word would break."""
    widths, least = [c.natural for c in columns], [c.least(hard) for c in columns]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        shrinkable = [i for i, (now, least_of) in enumerate(zip(widths, least, strict=True)) if now > least_of]
        widest = max(shrinkable, key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _segments(line: Text, console: Console) -> Iterable[Segment]:
    return line.render(console)
