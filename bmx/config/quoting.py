"""Quotes and unquotes the values of overrides."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OTHER_THAN_TEXT = ("null", "true", "false", "inf", "nan")


def quoted(text: str) -> str:
    """Quotes a value for Hydra's grammar, whatever it holds; a plain path needs no quotes, nor a shell's."""
    if re.fullmatch(r"/[\w./-]+", text, re.ASCII):
        return text
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def written(value: object) -> str:
    """A configuration value in override syntax: ``null``, ``true``, ``[1,2]``, ``'a b'``."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"[{','.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = str(value)
    means_itself = re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) and text.lower() not in _OTHER_THAN_TEXT
    return text if isinstance(value, int | float) or means_itself else quoted(text)


def unquoted(value: str) -> str:
    """The value without the quotes around it, if any."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
