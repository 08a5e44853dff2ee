"""ASCII replacements of characters that the terminal or its locale cannot show."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SIGNS: Mapping[str, str] = {
    "–": "-", "—": "-", "−": "-", "…": "...", "±": "+-", "×": "x", "·": "-", "½": "1/2", "²": "2", "³": "3",
    "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≈": "~", "†": "+", "‡": "++", "▸": ">", "•": "*", "━": "#", "‖": "||",
    "⁻": "-", "⊗": "x", "Σ": "sum", "α": "alpha", "ᵀ": "^T", "ᵣ": "_r", "°": " deg ", "µ": "u", "μ": "u",
    "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ",
}  # fmt: skip
# What Python puts into LC_CTYPE by itself where the locale is C (PEP 538).
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def charset(stream: Any) -> str:
    """The characters that can be shown on a stream: its encoding, or that of the locale where it has fewer.

    Python writes UTF-8 in the locale C too; what is drawn for such a terminal has to do without.
    """
    encoding = str(getattr(stream, "encoding", None) or "utf-8")
    environ = dict(os.environ)
    if sys.flags.utf8_mode and environ.get("LC_CTYPE") in _COERCED:
        environ["LC_CTYPE"] = typed_ctype()
    named = _of_locale(environ)
    return encoding if named is None or is_unicode(named) else named


def is_unicode(name: str) -> bool:
    """Whether an encoding has every character."""
    return name.lower().replace("-", "").replace("_", "").startswith(("utf", "cp65001"))


def typed_ctype() -> str:
    """LC_CTYPE as the process was given it, before Python wrote its own over it; empty where that is not known."""
    try:
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    found = next((line for line in given if line.startswith(b"LC_CTYPE=")), b"")
    return found.partition(b"=")[2].decode("ascii", "replace")


def _of_locale(environ: Mapping[str, str]) -> str | None:
    """The encoding that the locale's name says; None where it says none, or one that is not known."""
    name = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if name in ("C", "POSIX"):
        return "ascii"
    codeset = name.partition(".")[2].partition("@")[0]
    try:
        return codecs.lookup(codeset).name if codeset else None
    except LookupError:
        return None


def spelled(text: str, encoding: str, whole: bool = True) -> str:
    """The text with every sign that the encoding lacks written in ASCII: ``97.1 +- 0.4 %``.

    Args:
        text: to be shown.
        encoding: what can be shown.
        whole: write other characters, such as a letter in a name, as a backslash escape; else leave them.
    """
    if text.isascii() or is_unicode(encoding):
        return text
    return "".join(c if c.isascii() else _spelling(c, encoding, whole) for c in text)


@cache
def _spelling(character: str, encoding: str, whole: bool) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        other = character if not whole else character.encode("ascii", "backslashreplace").decode()
        return SIGNS.get(character, other)
    return character
