"""Errors in the words of whoever typed the command: ``student.width``, where Hydra was given ``model.width``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bmx.errors import BmxError


def retell(error: BmxError, typed: Iterable[str], written: Iterable[str]) -> None:
    """Write the keys in an error as they were typed.

    Args:
        error: is changed.
        typed: the words of the command line.
        written: the same words as Hydra was given them.
    """
    for short, long in _heads(typed, written).items():
        # A group's word may be one of the language too: "the model is".
        ends = r"[.=]| \(| must be "
        if "." in long or "/" in long:
            ends += "| is | has " + ("|'" if "." in long else "")
        named = re.compile(rf"(?<![\w./]){re.escape(long)}(?={ends})")
        error.what, error.where, error.fix = (named.sub(short, text) for text in (error.what, error.where, error.fix))


def _heads(typed: Iterable[str], written: Iterable[str]) -> dict[str, str]:
    """The beginnings of keys that were written out as others: ``student`` is ``model``, ``trials`` is
    ``hydra.sweeper.trials``."""
    found = {}
    for one, other in zip(typed, written, strict=True):
        short, long = (word.partition("=")[0].lstrip("+~") for word in (one, other))
        head, dot, rest = short.partition(".")
        if short != long and long.endswith(dot + rest):
            found[head] = long.removesuffix(dot + rest)
    return found
