"""Kinds of values that are found, not listed in a declaration: ``format``, ``engine``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bmx.config.engine_words import engine_words
from bmx.config.formats import formats
from bmx.config.value_kinds import OneOf


@dataclass(frozen=True)
class Found:
    """One of the words that there are when it is asked for.

    Attributes:
        name: what it is called in a declaration.
        find: the words, each with what there is to say of it.
    """

    name: str
    find: Callable[[], Mapping[str, str]]

    @property
    def says(self) -> str:
        return self._options().says

    @property
    def words(self) -> tuple[str, ...]:
        return self._options().words

    @property
    def example(self) -> str:
        return self._options().example

    @property
    def told(self) -> str:
        """The words, each with what there is to say of it: ``eager, compile (torch.compile)``."""
        return ", ".join(f"{word} ({said})" if said else word for word, said in self.find().items())

    def accepts(self, value: Any) -> bool:
        return self._options().accepts(value)

    def convert(self, value: Any, raw: str | None) -> Any:
        return self._options().convert(value, raw)

    def _options(self) -> OneOf:
        return OneOf(tuple(self.find()))


FOUND = {
    kind.name: kind
    for kind in (
        Found("format", lambda: {name: row.help for name, row in formats().items()}),
        Found("engine", engine_words),
    )
}
