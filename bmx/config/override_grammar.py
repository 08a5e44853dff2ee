"""Parses overrides by Hydra's own grammar: keys, values, quotes, escapes and lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bmx.config.quoting import quoted

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override


class OverrideWord(NamedTuple):
    """An override split at its first ``=``, which no key of Hydra's contains."""

    sign: str
    """``+``, ``++``, ``~`` or nothing."""
    key: str
    text: str | None
    """The text after the ``=``, as typed; None where there is no ``=``."""

    @property
    def is_null(self) -> bool:
        """Whether the value is null."""
        return (self.text or "").strip() == "null"


def taken_apart(word: str) -> OverrideWord:
    """Splits an override into sign, key and text."""
    head, equals, text = word.partition("=")
    key = head.lstrip("+~")
    return OverrideWord(head[: len(head) - len(key)], key, text if equals else None)


def key_of(word: str) -> str:
    """The key of an override, without its sign."""
    return taken_apart(word).key


def parsed(word: str) -> Override | None:
    """The override as Hydra parses it; None where its grammar rejects it."""
    from hydra.errors import HydraException

    try:
        return _parser().parse_overrides([word])[0]
    except HydraException:
        return None


def values(word: str) -> list[str] | None:
    """Every value of an override as text, without quotes and escapes: of a sweep, of a list, or the only one.

    None where they cannot be listed: intervals, ranges, dictionaries, and invalid syntax.
    """
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString

    override = parsed(word)
    if override is None:
        return None
    value = getattr(override, "_value")  # noqa: B009  (value() unpacks quotes, but not those inside of a choice)
    items = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    flat = [inner for item in items for inner in (item if isinstance(item, list) else [item])]
    if not all(isinstance(item, str | int | float | QuotedString) for item in flat):
        return None
    return [item.text if isinstance(item, QuotedString) else str(item) for item in flat]


def value(word: str) -> str | None:
    """The only value of an override as text; None where it has several, a list, or none."""
    from hydra.core.override_parser.types import ChoiceSweep

    override = parsed(word)
    held = None if override is None else getattr(override, "_value")  # noqa: B009
    found = None if held is None or isinstance(held, list | ChoiceSweep) else values(word)
    return found[0] if found else None


def last_value(words: Sequence[str], key: str) -> str | None:
    """The value of the last override of a key; None where there is none, or not one."""
    word = next((word for word in reversed(words) if key_of(word) == key), None)
    return None if word is None else value(word)


def is_list(read: Override) -> bool:
    """Whether the override sets one list."""
    return isinstance(getattr(read, "_value"), list)  # noqa: B009


def is_plain(read: Override) -> bool:
    """Whether the override has one value, or several separated by commas only, none of which is a list."""
    from hydra.core.override_parser.types import ChoiceSweep, Sweep

    held = getattr(read, "_value")  # noqa: B009
    if isinstance(held, ChoiceSweep):
        return bool(held.simple_form) and not any(isinstance(item, list | dict) for item in held.list)
    return not isinstance(held, Sweep | list | dict)


def is_interpolated(text: str) -> bool:
    """Whether a value is an interpolation: ``${oc.env:HOME}/runs``."""
    return "${" in text


def items(text: str) -> list[str]:
    """Splits a list of values, with or without brackets, at its commas; those in quotes do not count."""
    bare = re.fullmatch(r"\s*\[(.*)\]\s*", text, re.DOTALL)
    inner = bare[1] if bare else text
    found = re.findall(r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^,])+", inner)
    return [item.strip() for item in found if item.strip()]


def unquoted(text: str) -> str:
    """A single value without its quotes and escapes."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        return text
    found = value(f"x={text}")
    return text[1:-1] if found is None else found


def with_values(word: str, change: Any) -> str:
    """Maps each value ``v`` of an override to ``change(v)``, keeping its form; unchanged where it has no values."""
    from hydra.core.override_parser.types import ChoiceSweep, Quote, QuotedString

    override = parsed(word)
    if override is None:
        return word
    changed = False

    def one(item: Any) -> Any:
        nonlocal changed
        if isinstance(item, list):
            return [one(inner) for inner in item]
        if isinstance(item, bool) or not isinstance(item, QuotedString | str | int):
            return item
        before = item.text if isinstance(item, QuotedString) else str(item)
        after = change(before)
        if after == before:
            return item
        changed = True
        return after if quoted(after) == after else QuotedString(after, Quote.single)

    held = getattr(override, "_value")  # noqa: B009
    found = [one(item) for item in (held.list if isinstance(held, ChoiceSweep) else [held])]
    if not changed:
        return word
    text = ",".join(map(_spelt, found))
    if isinstance(held, ChoiceSweep):
        text = text if held.simple_form else f"choice({', '.join(map(_spelt, found))})"
        text = f"shuffle({text})" if held.shuffle else text
        text = f"tag({','.join([*sorted(held.tags), text])})" if held.tags else text
    return f"{word.partition('=')[0]}={text}"


def _spelt(item: Any) -> str:
    from hydra.core.override_parser.types import Override

    if isinstance(item, list):
        return f"[{','.join(map(_spelt, item))}]"
    if isinstance(item, str) and (not item or value(f"x={item}") != item):  # choice() drops the quotes of its arguments
        return quoted(item)
    return str(Override._get_value_element_as_str(item))


@cache
def _parser() -> OverridesParser:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()
