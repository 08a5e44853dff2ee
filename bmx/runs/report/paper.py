"""Rich console that replaces characters which the terminal cannot show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bmx.runs.report.signs import charset, spelled
from bmx.runs.report.table import TextTable


class Paper(Console):
    """A console that writes signs as its output can show them, before it finds out how wide they are."""

    def print(self, *objects: Any, **how: Any) -> None:
        signs = charset(self.file)
        super().print(*(_spelled(item, signs) for item in objects), **how)

    @property
    def encoding(self) -> str:
        return charset(self.file).lower()


def _spelled(item: Any, signs: str) -> Any:
    """Text, a table, or what holds them, with its signs spelled out."""
    if isinstance(item, str):
        return spelled(item, signs)
    if isinstance(item, Text):
        return _text(item, signs)
    if isinstance(item, TextTable):
        return _table(item, signs)
    if isinstance(item, Padding):
        item.renderable = _spelled(item.renderable, signs)
    return item


def _text(text: Text, signs: str) -> Text:
    if text.plain.isascii():
        return text
    # Character by character, so that styles stay where they are.
    found = Text(style=text.style, end=text.end, no_wrap=text.no_wrap, overflow=text.overflow, justify=text.justify)
    for at, character in enumerate(text.plain):
        written = spelled(character, signs)
        piece = text[at]
        found.append_text(piece if written == character else Text(written, spans=[], style="").copy())
        if written != character:
            for span in piece.spans:
                found.stylize(span.style, len(found) - len(written), len(found))
    return found


def _table(table: TextTable, signs: str) -> TextTable:
    found = TextTable(table._headings, table._gap, table._indent)
    found.row_styles = list(table.row_styles)
    found.columns = [
        replace(c, heading=_text(c.heading, signs), cells=[_text(cell, signs) for cell in c.cells])
        for c in table.columns
    ]
    return found
