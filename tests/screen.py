"""A terminal's screen: what a person sees of the bytes that a program writes."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Za-z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07")


class Unknown(AssertionError):
    """A control that a plain terminal need not know."""


class Screen:
    """Lines of text with a cursor; what scrolls off the top is kept.

    Args:
        columns: its width.
        rows: its height.
        reflows: whether a line that was wrapped is laid out anew when the width changes, as gnome-terminal, kitty and
            tmux do; xterm cuts it off.
    """

    def __init__(self, columns: int = 80, rows: int = 24, reflows: bool = True) -> None:
        self.columns, self.rows, self.reflows = columns, rows, reflows
        self.lines: list[list[str]] = [[]]
        self.wrapped = [False]  # whether a line goes on in the next
        self.row = self.column = 0
        self.codes: list[str] = []
        self._rest = ""

    def feed(self, text: str) -> None:
        text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                control = _CONTROL.match(text, at)
                if control is None:
                    if len(text) - at < 20:
                        self._rest = text[at:]  # the rest of it has not come yet
                        return
                    raise Unknown(repr(text[at : at + 20]))
                self.codes.append(control[0])
                self._control(control[1] or "", control[2] or "")
                at = control.end()
                continue
            self._character(text[at])
            at += 1

    def resize(self, columns: int) -> None:
        """Make it narrower or wider."""
        if self.reflows:
            self._reflow(columns)
        else:
            self.lines = [line[:columns] for line in self.lines]
            self.column = min(self.column, columns - 1)
        self.columns = columns

    @property
    def text(self) -> str:
        """All that can be seen, after scrolling back."""
        return "\n".join(self.seen())

    def seen(self) -> list[str]:
        """Line by line, without the empty ones at the end."""
        lines = ["".join(line).rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def _top(self) -> int:
        return max(0, len(self.lines) - self.rows)

    def _line(self) -> list[str]:
        while len(self.lines) <= self.row:
            self.lines.append([])
            self.wrapped.append(False)
        return self.lines[self.row]

    def _character(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._line()
            self.wrapped[self.row] = False
            self.row += 1
            self._line()
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)
        elif character == "\a":
            pass
        elif ord(character) < 32:
            raise Unknown(repr(character))
        else:
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if self.column + width > self.columns:
                self._line()
                self.wrapped[self.row] = True
                self.row, self.column = self.row + 1, 0
            line = self._line()
            line += [" "] * (self.column + width - len(line))
            line[self.column] = character
            if width == 2:
                line[self.column + 1] = ""
            self.column += width

    def _control(self, numbers: str, letter: str) -> None:
        many = int(numbers) if numbers.isdecimal() else None
        line = self._line()
        if letter == "A":
            self.row = max(self._top, self.row - (many or 1))
        elif letter == "B":
            self.row = min(self._top + self.rows - 1, self.row + (many or 1))
        elif letter == "C":
            self.column = min(self.columns - 1, self.column + (many or 1))
        elif letter == "D":
            self.column = max(0, self.column - (many or 1))
        elif letter == "G":
            self.column = (many or 1) - 1
        elif letter == "K":
            if many == 2:
                line.clear()
            elif many == 1:
                line[: self.column] = [" "] * min(self.column, len(line))
            else:
                del line[self.column :]
            self.wrapped[self.row] = False
        elif letter == "J" and many in (None, 0):
            del line[self.column :]
            self.wrapped[self.row] = False
            del self.lines[self.row + 1 :]
            del self.wrapped[self.row + 1 :]
        elif letter and letter not in "mhl":
            raise Unknown(f"{numbers}{letter}")

    def _reflow(self, columns: int) -> None:
        lines: list[list[str]] = []
        wrapped: list[bool] = []
        place = (0, 0)
        at = 0
        while at < len(self.lines):
            whole: list[str] = []
            cursor = None
            while True:
                if at == self.row:
                    cursor = len(whole) + self.column
                whole += self.lines[at]
                at += 1
                if at >= len(self.lines) or not self.wrapped[at - 1]:
                    break
            pieces = [whole[i : i + columns] for i in range(0, len(whole), columns)] or [[]]
            if cursor is not None:
                row = min(cursor // columns, len(pieces) - 1)
                place = (len(lines) + row, cursor - row * columns)
            lines += pieces
            wrapped += [True] * (len(pieces) - 1) + [False]
        self.lines, self.wrapped = lines, wrapped
        self.row, self.column = place[0], min(place[1], columns)
