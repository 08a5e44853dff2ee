"""Rewrites a verb's shorthand overrides, aliases and lists, to overrides as Hydra reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from bmx.config import override_grammar
from bmx.config.folders import root_file
from bmx.config.literal_names import spelt_out
from bmx.config.quoting import quoted
from bmx.config.resolve_runs import write_runs
from bmx.config.validation import OPTIONAL
from bmx.config.verbs import Verb


def rewrite_words(
    words: list[str], verb: Verb, many: bool = False, outputs: Callable[[], Path] | None = None
) -> list[str]:
    """Expands aliases, and writes lists where a key of the verb takes several values at once.

    Args:
        words: overrides of the command line.
        verb: declares what is rewritten.
        many: whether they make many runs.
        outputs: returns the outputs folder, where named runs are found.
    """
    if verb.named_runs:
        words = write_runs(words, verb, many, outputs)
    words = [write_beginning(word, verb.beginnings) for word in words]
    words = [without_group(word, open_groups(verb.config)) for word in words]
    words = [open_map(word, maps(verb.config)) for word in words]
    words = write_lists(rewrite_aliases(words, verb.aliases), verb.lists)
    return [spelt_out(word, verb.config) for word in words] if many else words


def without_group(word: str, groups: Container[str]) -> str:
    """``compression=null`` as Hydra reads it, ``~compression``, for optional groups."""
    key, _, value = word.partition("=")
    return f"~{key}" if value == "null" and key in groups else word


def open_groups(root: str) -> frozenset[str]:
    """The optional groups: those a root file, or its bases, leaves without an option, and those that no run needs."""
    from bmx.config.yaml_comments import load

    found: set[str] = set()
    for default in load(root_file(root)).defaults:
        if isinstance(default, str):
            found |= open_groups(default) if default != "_self_" else frozenset()
        else:
            found |= {str(group) for group, word in default.items() if word is None or group in OPTIONAL}
    return frozenset(found)


def open_map(word: str, keys: Container[str]) -> str:
    """``teacher_fields={width: 8}`` as Hydra takes it, ``++teacher_fields={width: 8}``, for keys that are maps.

    To Hydra it sets keys inside of one that has none, which it refuses.
    """
    key, _, value = word.partition("=")
    return f"++{word}" if value.lstrip()[:1] == "{" and key in keys else word


def maps(root: str) -> frozenset[str]:
    """The keys of a root file that take keys of any name."""
    from bmx.config.yaml_comments import load

    return frozenset(key for key, entry in load(root_file(root)).entries.items() if entry.declares == "map")


def write_beginning(word: str, beginnings: Mapping[str, str]) -> str:
    """Expands the prefix of an override's key; its sign stays, unless the expansion has one of its own."""
    bare = word.lstrip("+")
    short = next((short for short in beginnings if bare.startswith(short)), None)
    if short is None:
        return word
    sign = "" if beginnings[short].startswith("+") else word[: len(word) - len(bare)]
    return sign + beginnings[short] + bare.removeprefix(short)


def rewrite_aliases(words: list[str], aliases: Mapping[str, str]) -> list[str]:
    """Expands alias keys; only a whole key is one: ``teacher.width=3`` stays unchanged."""
    written = []
    for word in words:
        key, equals, value = word.partition("=")
        bare = key.lstrip("+~")
        long = aliases.get(bare) if equals else None
        written.append(f"{key[: len(key) - len(bare)]}{long}={value}" if long else word)
    return written


def write_switches(arguments: list[str], switches: Mapping[str, tuple[str, str]]) -> list[str]:
    """Replaces each flag of the verb's own by the override it stands for."""
    return [switches[argument][0] if argument in switches else argument for argument in arguments]


def write_lists(words: list[str], keys: tuple[str, ...]) -> list[str]:
    """Writes ``key=a,b`` as ``key=[a,b]`` for keys that take lists; text is quoted, numbers are not.

    A list of plain items is quoted too: ``key=[a=1]`` is no list to Hydra, ``key=['a=1']`` is. What is null or a map
    stays so, to be refused where the key takes none.
    """
    written = []
    for word in words:
        key, equals, value = word.partition("=")
        plain = re.fullmatch(r"\[([^][{}()'\"$]+)\]", value)
        value = plain[1] if plain else value
        swept = re.match(r"(choice|range|glob|shuffle|sort|tag|interval)\(", value)
        read = override_grammar.parsed(word) if value[:1] in ("'", '"') else None
        several = read is not None and override_grammar.is_plain(read) and len(override_grammar.items(value)) > 1
        left = value in ("", "null") or (value[0] in "['\"${" and not several)
        if not equals or key.lstrip("+") not in keys or left or swept:
            written.append(word)
            continue
        items = (
            override_grammar.items(value) if several else [item.strip() for item in value.split(",") if item.strip()]
        )
        written.append(f"{key}=[{','.join(map(_list_item, items))}]")
    return written


def _list_item(item: str) -> str:
    return item if re.fullmatch(r"0|-?[1-9]\d*|null", item) or item[0] in "'\"" else quoted(item)
