"""Values as words of a command line: put into quotes, and taken out of them."""

from __future__ import annotations

import re


def quoted(text: str) -> str:
    """A value as Hydra's grammar reads it back, whatever it holds; a plain path needs no quotes, nor a shell's."""
    if re.fullmatch(r"/[\w./-]+", text, re.ASCII):
        return text
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def unquoted(value: str) -> str:
    """The value without the quotes around it, if there are any."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
