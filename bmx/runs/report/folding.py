"""Wraps lines to the width of the terminal, between words and never within one."""

from __future__ import annotations

import re

# Colours and the like take no room.
_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_WORDS = re.compile(r"\S+")
# A command to be copied: where it is broken a shell goes on reading.
_COMMAND = re.compile(r"(?<![\w./-])bmx (?:train|distill|compress|evaluate|bench|export|sweep) ")
_HANG = 2


def width_of(text: str) -> int:
    """The columns that a line takes; wide characters take two."""
    plain = _CODES.sub("", text) if "\x1b" in text else text
    if plain.isascii():
        return len(plain)
    from unicodedata import combining, east_asian_width

    return sum((1 + (east_asian_width(c) in "WF")) * (not combining(c)) for c in plain)


def folded(line: str, width: int) -> list[str]:
    """Wraps a line; lines after the first are indented a little more than the first.

    What is between two words stays as it is. A word that is longer than the terminal is wide, such as a path, is left
    whole. Within a command the lines end with a backslash.
    """
    if width_of(line) <= width:
        return [line]
    command = _COMMAND.search(line)
    begins = command.start() if command else len(line)
    indent = len(line) - len(line.lstrip(" "))
    hang = min(indent + _HANG, width // 3)
    found: list[str] = []
    now, end = "", 0
    for match in _WORDS.finditer(line):
        word, gap = match[0], line[end : match.start()]
        inside = match.start() > begins
        room = width - (2 if match.end() > begins else 0)
        if now.strip() and width_of(now) + len(gap) + width_of(word) > room:
            found.append(now + (" \\" if inside else ""))
            # An unbreakable word gets all the room there is.
            now = (" " * hang if hang + width_of(word) <= room else "") + word
        else:
            now += gap + word
        end = match.end()
    return [*found, now]
