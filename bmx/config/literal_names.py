"""Quotes number-like names in overrides with several values: ``name=1e3,2e3`` means these strings, not 1000.0."""

from __future__ import annotations

import re

from bmx.config import override_grammar
from bmx.config.declaration import Declaration
from bmx.config.schema import schema
from bmx.config.value_kinds import List, Null, Text

# An item of a list or sweep that Hydra parses as a number and may spell otherwise.
_NUMBER = re.compile(r"(?<=[\[,=])\s*([+-]?[\d_.]*\d[\d_.]*(?:[eE][+-]?\d+)?)\s*(?=[\],]|$)")


def spelt_out(word: str, config: str) -> str:
    """The override with such names quoted, if its key takes names only.

    Args:
        word: an override of a sweep, whose jobs get each value as Hydra spells it.
        config: the root file of the verb.
    """
    key, text = override_grammar.key_of(word), override_grammar.taken_apart(word).text
    if text is None or re.search(r"['\"()$\\]", text) or not _NUMBER.search(f"={text}"):
        return word
    declared = schema(config).declared(key)
    if declared is None or not _takes_names(declared):
        return word
    return f"{word.partition('=')[0]}{_NUMBER.sub(_quoted, f'={text}')}"


def _quoted(found: re.Match[str]) -> str:
    return found[1] if found[1].isdigit() and str(int(found[1])) == found[1] else f"'{found[1]}'"


def _takes_names(declared: Declaration) -> bool:
    kinds = [kind.item if isinstance(kind, List) else kind for kind in declared.kinds]
    return all(isinstance(kind, Null) or (isinstance(kind, Text) and kind.about != "class") for kind in kinds)
