"""Value types of configuration keys: what each accepts, how it converts text, and how messages describe it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

TRUE = ("true", "yes", "on", "y", "1")
FALSE = ("false", "no", "off", "n", "0")
TIME = re.compile(r"\d+(\.\d+)?\s*(s|sec|m|min|h|d)")


class _Nothing:
    """Sentinel for "cannot be converted", since None is a value."""


NOTHING = _Nothing()


class ValueKind(Protocol):
    """One alternative of a declaration: a type with its check and its conversion."""

    @property
    def says(self) -> str:
        """Description of the accepted values, for messages: ``a whole number, 1 or more``."""

    @property
    def words(self) -> tuple[str, ...]:
        """The accepted literals, where they are a closed list; else empty."""

    @property
    def example(self) -> str:
        """An accepted value, as it is typed."""

    def accepts(self, value: Any) -> bool:
        """Whether a value is accepted without conversion."""

    def convert(self, value: Any, raw: str | None) -> Any:
        """A value of another type converted to this one, or ``NOTHING``; ``raw`` is its source text, if known."""


@dataclass(frozen=True)
class Null:
    """The null value."""

    says: str = "null"
    words: tuple[str, ...] = ("null",)
    example: str = "null"

    def accepts(self, value: Any) -> bool:
        return value is None

    def convert(self, value: Any, raw: str | None) -> Any:
        return None if isinstance(value, str) and value.strip().lower() in ("null", "none") else NOTHING


@dataclass(frozen=True)
class Bool:
    """A boolean; as in YAML, ``on``, ``off``, ``yes`` and ``no`` are accepted too."""

    says: str = "true or false"
    words: tuple[str, ...] = ("true", "false")
    example: str = "true"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def convert(self, value: Any, raw: str | None) -> Any:
        text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
        return True if text in TRUE else False if text in FALSE else NOTHING


@dataclass(frozen=True)
class Range:
    """An interval of numbers; each bound is optional, and open or closed."""

    low: float = -math.inf
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True

    def holds(self, value: float) -> bool:
        above = self.low <= value if self.with_low else self.low < value
        below = value <= self.high if self.with_high else value < self.high
        return math.isfinite(value) and above and below

    def said(self) -> str:
        """Description of the interval: ``, 1 or more``, ``from 0 to below 1``; empty for any number."""
        low, high = _short(self.low), _short(self.high)
        if self.high == math.inf:
            if self.low == -math.inf:
                return ""
            return f", {low} or more" if self.with_low else f" greater than {low}"
        if self.low == -math.inf:
            return f", {high} or less" if self.with_high else f" below {high}"
        begins = f" from {low}" if self.with_low else f" greater than {low}"
        if self.with_low:
            return begins + (f" to {high}" if self.with_high else f" to below {high}")
        return begins + (f", up to {high}" if self.with_high else f" and below {high}")


@dataclass(frozen=True)
class Number:
    """A number in a range: ``int``; ``float``, which accepts integers too; or ``count``, an integer like 1e6."""

    type: str
    range: Range = Range()

    @property
    def says(self) -> str:
        return ("a number" if self.type == "float" else "a whole number") + self.range.said()

    @property
    def words(self) -> tuple[str, ...]:
        return ()

    @property
    def example(self) -> str:
        low, high = self.range.low, self.range.high
        if self.type != "float":
            least = low + (0 if self.range.with_low else 1)
            return str(int(least)) if math.isfinite(least) else str(int(min(0, high)))
        if math.isfinite(low) and math.isfinite(high):
            return _short(low + (high - low) / 10)
        return _short(low + 0.1) if math.isfinite(low) else _short(min(0.0, high))

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.type != "float" else (int, float)):
            return False
        return self.range.holds(value)

    def convert(self, value: Any, raw: str | None) -> Any:
        if isinstance(value, str):
            value = _number(value)
        if self.type == "count" and isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if self.accepts(value) else NOTHING


@dataclass(frozen=True)
class Word:
    """A single literal: ``auto``."""

    word: str

    @property
    def says(self) -> str:
        return self.word

    @property
    def words(self) -> tuple[str, ...]:
        return (self.word,)

    @property
    def example(self) -> str:
        return self.word

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value == self.word

    def convert(self, value: Any, raw: str | None) -> Any:
        return NOTHING


@dataclass(frozen=True)
class OneOf:
    """An enumeration of literals: strings, booleans or numbers."""

    options: tuple[str | bool | int | float, ...]

    @property
    def says(self) -> str:
        return f"one of {', '.join(self.words)}" if len(self.words) > 1 else self.words[0]

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(str(option).lower() if isinstance(option, bool) else str(option) for option in self.options)

    @property
    def example(self) -> str:
        return self.words[0]

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)

    def convert(self, value: Any, raw: str | None) -> Any:
        texts = [text.strip() for text in (raw, _as_text(value)) if text is not None]
        pairs = list(zip(self.options, self.words, strict=True))
        return next((option for text in texts for option, word in pairs if text == word), NOTHING)


# Kinds of text by what they refer to: the description in messages, and an example.
TEXTS = {
    "text": ("a text", "word"),
    "name": ("a word that names a folder", "mine"),
    "path": ("a file or folder", "folder"),
    "folder": ("a folder", "folder"),
    "run": ("a run", "latest"),
    "layer": ("the path of a layer", "features.0"),
    "class": ("a class by number or label", "0"),
    "word": ("a word", "word"),
}


@dataclass(frozen=True)
class Text:
    """A non-empty string; for ``class`` a class index from 0 on too."""

    about: str

    @property
    def says(self) -> str:
        return TEXTS[self.about][0]

    @property
    def words(self) -> tuple[str, ...]:
        return ()

    @property
    def example(self) -> str:
        return TEXTS[self.about][1]

    def accepts(self, value: Any) -> bool:
        if self.about == "class" and isinstance(value, int) and not isinstance(value, bool):
            return value >= 0
        return isinstance(value, str) and bool(value.strip()) and "\0" not in value

    def convert(self, value: Any, raw: str | None) -> Any:
        if self.about == "class":  # neither an index nor a string, so no label: 0.5, true
            return NOTHING
        if not isinstance(value, (bool, str, int, float)):  # a list is no text, however it is written
            return NOTHING
        text = raw if raw is not None and not isinstance(value, str) else _as_text(value)
        return text if text is not None and self.accepts(text) else NOTHING


@dataclass(frozen=True)
class DeviceName:
    """A torch device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""

    says: str = "auto, cpu, cuda, cuda:N or mps"
    words: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
    example: str = "cpu"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value) is not None

    def convert(self, value: Any, raw: str | None) -> Any:
        return NOTHING


@dataclass(frozen=True)
class Time:
    """A duration with its unit: ``30s``, ``10min``, ``2h``."""

    says: str = "a time such as 30s, 10min or 2h"
    words: tuple[str, ...] = ()
    example: str = "10min"

    def accepts(self, value: Any) -> bool:
        found = TIME.fullmatch(value.strip()) if isinstance(value, str) else None
        return found is not None and float(re.sub(r"[^\d.]", "", found[0])) > 0

    def convert(self, value: Any, raw: str | None) -> Any:
        return NOTHING


@dataclass(frozen=True)
class Mapping:
    """A dictionary with arbitrary keys; with ``built`` one of them is ``_target_``."""

    built: bool = False

    @property
    def says(self) -> str:
        return "keys with a _target_" if self.built else "keys with values"

    @property
    def words(self) -> tuple[str, ...]:
        return ()

    @property
    def example(self) -> str:
        return "{_target_: package.Class}" if self.built else "{key: value}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict) and (not self.built or isinstance(value.get("_target_"), str))

    def convert(self, value: Any, raw: str | None) -> Any:
        return NOTHING


@dataclass(frozen=True)
class List:
    """A list of items of one kind, ``count`` of them or any number; a single value is a list of one."""

    item: ValueKind
    count: int | None = None

    @property
    def says(self) -> str:
        return f"a list{'' if self.count is None else f' of {self.count}'}, each {self.item.says}"

    @property
    def words(self) -> tuple[str, ...]:
        return self.item.words

    @property
    def example(self) -> str:
        return f"[{','.join([self.item.example] * (self.count or 1))}]"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, list) or (self.count is not None and len(value) != self.count):
            return False
        return all(self.item.accepts(one) for one in value)

    def convert(self, value: Any, raw: str | None) -> Any:
        if isinstance(value, list):
            raws = _items(raw) if raw is not None else None
            return self._converted(value, raws if raws is not None and len(raws) == len(value) else None)
        if value is None:
            return NOTHING
        if not isinstance(value, str):
            return self._converted([value], [raw])
        text = value.strip()
        if text.startswith("[") and text.endswith("]"):
            return self._converted(_yaml_list(text))
        alone = self._converted([text])
        return alone if alone is not NOTHING or "," not in text else self._converted(text.split(","))

    def _converted(self, values: list[Any], raws: Sequence[str | None] | None = None) -> Any:
        pairs = zip(values, raws or [None] * len(values), strict=True)
        made = [one if self.item.accepts(one) else self.item.convert(one, raw) for one, raw in pairs]
        return made if self.accepts(made) else NOTHING


def _number(text: str) -> int | float | None:
    """Parses a finite number; None for any other text, nan and inf included."""
    text = text.strip()
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) else None


def _as_text(value: Any) -> str | None:
    """A scalar as it would be typed; None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def _yaml_list(text: str) -> list[Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return [text]
    return found if isinstance(found, list) else [text]


def _items(text: str) -> list[str] | None:
    """Splits a list literal, ``[1e3, x]``, into the source text of its items; None unless all are scalars."""
    found = re.fullmatch(r"\s*\[([^][{}()\\]*)\]\s*", text, re.DOTALL)
    items = re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^,'\"])+", found[1]) if found else []
    return [item.strip() for item in items if item.strip()] if found else None


def _short(value: float) -> str:
    return f"{value:.15g}" if abs(value) < 1e15 else str(value)
