"""Value types whose options are discovered at run time, not listed in a declaration: ``format``, ``engine``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bmx.config.engine_words import engine_words
from bmx.config.formats import formats
from bmx.config.value_kinds import OneOf


@dataclass(frozen=True)
class Found:
    """An enumeration of the options that are installed when it is used.

    Attributes:
        name: its name in a declaration.
        find: returns the options, each with its description.
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
        """The options, each with its description: ``eager, compile (torch.compile)``."""
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
