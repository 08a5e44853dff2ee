"""Sanitises the name of a run into one safe folder name."""

from __future__ import annotations

import unicodedata

_ALLOWED = frozenset("._+=,@-")
_LONGEST = 120  # bytes: file systems allow 255


def folder_name(name: str) -> str:
    """The folder for runs of this name: letters and digits of any script, and ``. _ + = , @ -``.

    Anything else becomes a dash. Never empty, hidden, ``..``, or longer than 120 bytes; a folder name maps to itself.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c if c.isalnum() or unicodedata.category(c) == "Mn" or c in _ALLOWED else "-" for c in text)
    while "--" in text:
        text = text.replace("--", "-")
    # A leading dot hides a folder, a leading dash or combining mark makes it hard to type.
    while text and (text[0] in "-." or unicodedata.category(text[0]) == "Mn"):
        text = text[1:]
    text = text.encode()[:_LONGEST].decode(errors="ignore")
    return text.rstrip("-") or "run"
