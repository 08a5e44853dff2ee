"""Restores the user's spelling of keys in errors: ``student.width``, where Hydra received ``model.width``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bmx.errors import BmxError


def retell(error: BmxError, typed: Iterable[str], written: Iterable[str]) -> None:
    """Rewrites the keys in an error as they were typed.

    Args:
        error: is changed in place.
        typed: the overrides of the command line.
        written: the same overrides as Hydra received them.
    """
    for short, long in _heads(typed, written).items():
        # A group's name may be an English word too: "the model is".
        ends = r"[.=]| \(| must be "
        if "." in long or "/" in long:
            ends += "| is | has " + ("|'" if "." in long else "")
        named = re.compile(rf"(?<![\w./]){re.escape(long)}(?={ends})")
        error.what, error.where, error.fix = (named.sub(short, text) for text in (error.what, error.where, error.fix))


def _heads(typed: Iterable[str], written: Iterable[str]) -> dict[str, str]:
    """Key prefixes as Hydra received them, by their typed form: ``student`` is ``model``, ``trials`` is
    ``hydra.sweeper.trials``."""
    found = {}
    for one, other in zip(typed, written, strict=True):
        short, long = (word.partition("=")[0].lstrip("+~") for word in (one, other))
        head, dot, rest = short.partition(".")
        if short != long and long.endswith(dot + rest):
            found[head] = long.removesuffix(dot + rest)
    return found
