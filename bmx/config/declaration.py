"""Parses the type declaration of a key from its YAML comment: ``#: float > 0 or auto, such as 0.01``.

Alternatives are joined by ``or``, and each is one of

- ``bool``, ``null``, ``device``, ``time`` (``30s``, ``10min``), ``map``, ``target`` (a map with ``_target_``);
- ``int``, ``float`` or ``count`` (a whole number that may be written 1e6), alone or with a range: ``int >= 1``,
  ``float > 0``, ``float in [0, 1)``;
- ``one of a, b, c``; ``format`` and ``engine``, one of those that are installed;
- ``list of`` any of these, and ``list of 2 float > 0`` for a fixed length;
- ``text``, ``name``, ``path``, ``folder``, ``run``, ``layer``, ``class`` or ``word``, which are all strings;
- any other word, a literal: ``auto``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from bmx.config import value_kinds as kinds
from bmx.config.found_kinds import FOUND, Found
from bmx.config.value_kinds import NOTHING, Range, ValueKind

MARK = "#:"
"""Prefix of a comment line that is a declaration."""

_EXAMPLE = ", such as "
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BETWEEN = re.compile(rf"in ([\[(])({_NUMBER}), ?({_NUMBER})([\])])")
_BOUND = re.compile(rf"(>=|>|<=|<) ?({_NUMBER})")


class NotDeclared(ValueError):
    """A declaration that cannot be parsed."""


@dataclass(frozen=True)
class Declaration:
    """The declared type of a key: a union of alternatives.

    Attributes:
        text: the declaration as written, without ``#:``.
        kinds: the alternatives.
        such_as: the example that the declaration gives; empty for none.
    """

    text: str
    kinds: tuple[ValueKind, ...]
    such_as: str = ""

    @property
    def nullable(self) -> bool:
        """Whether null is accepted."""
        return any(isinstance(kind, kinds.Null) for kind in self.kinds)

    @property
    def says(self) -> str:
        """Description for messages: ``a number greater than 0, or auto``."""
        parts = [kind.says for kind in self.kinds]
        if len(parts) == 1:
            return parts[0]
        simple = len(parts) == 2 and not any("," in part for part in parts) and " " not in parts[1]
        return f"{', '.join(parts[:-1])}{' or' if simple and ' ' not in parts[0] else ', or'} {parts[-1]}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The literals that can be typed: those of ``one of``, ``true`` and ``false``, ``auto``; not ``null``."""
        return tuple(word for kind in self.kinds if not isinstance(kind, kinds.Null) for word in kind.words)

    @property
    def is_closed(self) -> bool:
        """Whether only a closed list of literals is accepted."""
        return all(kind.words for kind in self.kinds)

    @property
    def brief(self) -> str:
        """The declaration without its example, ``int >= 1 or full``; ``format`` and ``engine`` as installed names."""
        said = self.text.partition(_EXAMPLE)[0]
        for kind in self._found:
            said = re.sub(rf"\b{kind.name}\b", kind.says, said)
        return said

    @property
    def told(self) -> str:
        """The installed formats or engines, each with its description; empty for other types."""
        return "; ".join(kind.told for kind in self._found)

    @property
    def _found(self) -> list[Found]:
        flat = [kind.item if isinstance(kind, kinds.List) else kind for kind in self.kinds]
        return [kind for kind in flat if isinstance(kind, Found)]

    @property
    def example(self) -> str:
        """An accepted value, as it is typed."""
        return self.such_as or self.kinds[0].example

    @property
    def about(self) -> tuple[str, ...]:
        """The kinds of text accepted, in lists too, for completion: ``("run",)``, ``("path",)``; empty for none."""
        flat = [kind.item if isinstance(kind, kinds.List) else kind for kind in self.kinds]
        return tuple(kind.about for kind in flat if isinstance(kind, kinds.Text))

    def accepts(self, value: Any) -> bool:
        """Whether a plain value, lists and dictionaries included, is accepted without conversion."""
        return any(kind.accepts(value) for kind in self.kinds)

    def convert(self, value: Any, raw: str | None = None) -> Any:
        """Converts a value to the declared type; ``NOTHING`` where that is impossible.

        Args:
            value: plain, lists and dictionaries included.
            raw: its source text, where that is known: ``1e3`` is a name too.
        """
        if self.accepts(value):
            return value
        made = (kind.convert(value, raw) for kind in self.kinds)
        return next((one for one in made if one is not NOTHING), NOTHING)


@cache
def parse(text: str) -> Declaration:
    """Parses a declaration, without its ``#:``.

    Raises:
        NotDeclared: it cannot be parsed.
    """
    said, _, such_as = text.partition(_EXAMPLE)
    found = Declaration(text, tuple(_kind(part.strip()) for part in said.split(" or ")), such_as.strip())
    if such_as and found.convert(such_as.strip()) is NOTHING:
        raise NotDeclared(f"the example does not fit: {text}")
    return found


def _kind(text: str) -> ValueKind:
    first, _, rest = text.partition(" ")
    if text.startswith("one of "):
        return kinds.OneOf(tuple(_option(option.strip()) for option in text.removeprefix("one of ").split(",")))
    if text.startswith("list of "):
        counted = re.fullmatch(r"list of (?:(\d+) )?(.+)", text)
        assert counted is not None
        return kinds.List(_kind(counted[2]), int(counted[1]) if counted[1] else None)
    if first in ("int", "float", "count"):
        return kinds.Number(first, _range(rest, text))
    plain: dict[str, ValueKind] = {
        "null": kinds.Null(),
        "bool": kinds.Bool(),
        "device": kinds.DeviceName(),
        "time": kinds.Time(),
        "map": kinds.Mapping(),
        "target": kinds.Mapping(built=True),
        "true": kinds.OneOf((True,)),
        "false": kinds.OneOf((False,)),
        **FOUND,
    }
    if text in plain:
        return plain[text]
    if text in kinds.TEXTS:
        return kinds.Text(text)
    if re.fullmatch(r"[\w.+-]+", text):
        return kinds.Word(text)
    raise NotDeclared(f"no kind of value: {text!r}")


def _range(text: str, whole: str) -> Range:
    if not text:
        return Range()
    between, bound = _BETWEEN.fullmatch(text), _BOUND.fullmatch(text)
    if between:
        return Range(float(between[2]), float(between[3]), between[1] == "[", between[4] == "]")
    if bound is None:
        raise NotDeclared(f"no range of numbers: {whole!r}")
    number, including = float(bound[2]), bound[1].endswith("=")
    return Range(number, math.inf, including) if bound[1][0] == ">" else Range(-math.inf, number, True, including)


def _option(text: str) -> str | bool | int | float:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text
