"""Words of a command line as Hydra's grammar reads them: quotes, escapes and lists are its own affair."""

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
    """One word, taken apart at its first ``=``: no key of Hydra's has one."""

    sign: str
    """``+``, ``++``, ``~`` or nothing."""
    key: str
    text: str | None
    """What stands behind the ``=``, as it was typed; None where there is no ``=``."""

    @property
    def is_null(self) -> bool:
        """Whether the word says that there is no value."""
        return (self.text or "").strip() == "null"


def taken_apart(word: str) -> OverrideWord:
    """The sign, the key and the text of a word."""
    head, equals, text = word.partition("=")
    key = head.lstrip("+~")
    return OverrideWord(head[: len(head) - len(key)], key, text if equals else None)


def key_of(word: str) -> str:
    """The key of a word, without its sign."""
    return taken_apart(word).key


def parsed(word: str) -> Override | None:
    """The word as Hydra reads it; None where its grammar does not take it."""
    from hydra.errors import HydraException

    try:
        return _parser().parse_overrides([word])[0]
    except HydraException:
        return None


def values(word: str) -> list[str] | None:
    """Every value of a word as text, without quotes and escapes: of several, of a list, or the one there is.

    None where they cannot be listed: intervals, ranges, dictionaries, and what Hydra's grammar does not take.
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
    """The one value of a word as text; None where it has several, a list, or none."""
    from hydra.core.override_parser.types import ChoiceSweep

    override = parsed(word)
    held = None if override is None else getattr(override, "_value")  # noqa: B009
    found = None if held is None or isinstance(held, list | ChoiceSweep) else values(word)
    return found[0] if found else None


def last_value(words: Sequence[str], key: str) -> str | None:
    """The value of the last word for a key; None where there is none, or not one."""
    word = next((word for word in reversed(words) if key_of(word) == key), None)
    return None if word is None else value(word)


def is_list(read: Override) -> bool:
    """Whether the word gives one list."""
    return isinstance(getattr(read, "_value"), list)  # noqa: B009


def is_plain(read: Override) -> bool:
    """Whether the word gives one value, or several with nothing but commas between them, none of which is a list."""
    from hydra.core.override_parser.types import ChoiceSweep, Sweep

    held = getattr(read, "_value")  # noqa: B009
    if isinstance(held, ChoiceSweep):
        return bool(held.simple_form) and not any(isinstance(item, list | dict) for item in held.list)
    return not isinstance(held, Sweep | list | dict)


def is_interpolated(text: str) -> bool:
    """Whether a value stands for another: ``${oc.env:HOME}/runs``."""
    return "${" in text


def items(text: str) -> list[str]:
    """A list of values, with or without brackets, split at its commas; those inside of quotes do not count."""
    bare = re.fullmatch(r"\s*\[(.*)\]\s*", text, re.DOTALL)
    inner = bare[1] if bare else text
    found = re.findall(r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^,])+", inner)
    return [item.strip() for item in found if item.strip()]


def unquoted(text: str) -> str:
    """A single value without its quotes and escapes, if it has any."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        return text
    found = value(f"x={text}")
    return text[1:-1] if found is None else found


def with_values(word: str, change: Any) -> str:
    """The word with each value ``v`` of it as ``change(v)``, in the form it was typed in; unchanged where none is."""
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
    if isinstance(item, str) and (
        not item or value(f"x={item}") != item
    ):  # choice() forgets the quotes of what it is given
        return quoted(item)
    return str(Override._get_value_element_as_str(item))


@cache
def _parser() -> OverridesParser:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()
