"""The words of a command line as Hydra reads them, from those that a verb allows its users to write."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bmx.cli.references import write_runs
from bmx.cli.verbs import Verb
from bmx.sweep.quoting import quoted


def rewrite_words(words: list[str], verb: Verb, many: bool = False) -> list[str]:
    """The words as Hydra reads them: aliases written out, and lists where the verb takes several values at once."""
    if verb.named_runs:
        words = write_runs(words, verb, many)
    words = [write_beginning(word, verb.beginnings) for word in words]
    return write_lists(rewrite_aliases(words, verb.aliases), verb.lists)


def write_beginning(word: str, beginnings: Mapping[str, str]) -> str:
    """The word with the beginning of its key written out; its sign stays, unless what is written has one of its own."""
    bare = word.lstrip("+")
    short = next((short for short in beginnings if bare.startswith(short)), None)
    if short is None:
        return word
    sign = "" if beginnings[short].startswith("+") else word[: len(word) - len(bare)]
    return sign + beginnings[short] + bare.removeprefix(short)


def rewrite_aliases(words: list[str], aliases: Mapping[str, str]) -> list[str]:
    """The words with each alias key written out; only a whole key is one: ``teacher.width=3`` stays as it is."""
    written = []
    for word in words:
        key, equals, value = word.partition("=")
        bare = key.lstrip("+~")
        long = aliases.get(bare) if equals else None
        written.append(f"{key[: len(key) - len(bare)]}{long}={value}" if long else word)
    return written


def write_switches(arguments: list[str], switches: Mapping[str, tuple[str, str]]) -> list[str]:
    """The arguments with each flag that is the verb's own written as the word it stands for."""
    return [switches[argument][0] if argument in switches else argument for argument in arguments]


def write_lists(words: list[str], keys: tuple[str, ...]) -> list[str]:
    """The words with ``key=a,b`` written ``key=[a,b]`` for keys that take lists; text is quoted, numbers are not.

    A list of plain items is quoted too: ``key=[a=1]`` is no list to Hydra, ``key=['a=1']`` is.
    """
    written = []
    for word in words:
        key, equals, value = word.partition("=")
        plain = re.fullmatch(r"\[([^][{}()'\"$]+)\]", value)
        value = plain[1] if plain else value
        swept = re.match(r"(choice|range|glob|shuffle|sort|tag|interval)\(", value)
        if not equals or key.lstrip("+") not in keys or value in ("", "null") or value[0] in "['\"$" or swept:
            written.append(word)
            continue
        items = [item.strip() for item in value.split(",") if item.strip()]
        written.append(f"{key}=[{','.join(map(_list_item, items))}]")
    return written


def _list_item(item: str) -> str:
    return item if item.lstrip("-").isdigit() or item[0] in "'\"" else quoted(item)
