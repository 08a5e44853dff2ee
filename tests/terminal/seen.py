"""What a screen must and must not show."""

from __future__ import annotations

import re

from tests.pseudo_terminal import Session
from tests.screen import Screen

# What is drawn over and over, and is to be gone at the end.
_PASSING = re.compile(r"▸|━|steps/s|#{4}| left$|\bstarting\b|loading |reading the configuration|\d+ running")


def broken_words(screen: Screen) -> list[str]:
    """Words that go on in the next row, though they would have fitted into one."""
    found = []
    for row, goes_on in enumerate(screen.wrapped):
        if not goes_on:
            continue
        first, second = "".join(screen.lines[row]), "".join(screen.lines[row + 1])
        head, tail = first.rpartition(" ")[2], second.partition(" ")[0]
        if head and tail and len(head + tail) <= screen.columns:
            found.append(head + tail)
    return found


def debris(screen: Screen) -> list[str]:
    """Lines that should have been wiped."""
    return [line for line in screen.seen() if _PASSING.search(line)]


def in_order(session: Session, code: int = 0, resized: bool = False) -> str:
    """The screen of a command that has ended, which has nothing on it that should not be there.

    Where it was resized, the terminal itself has broken lines that had been written for another width.
    """
    text = session.screen.text
    assert session.code == code, text
    assert debris(session.screen) == [], text
    assert resized or broken_words(session.screen) == [], text
    assert "Traceback" not in text
    return text
