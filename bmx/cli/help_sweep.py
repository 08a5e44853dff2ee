"""The sweep section of a verb's help: the settings for ``-m``, with their comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from bmx.config.raw import Composed
from bmx.config.yaml_source import Entry, find, read

# A grid has no trials: settings that the chosen sweeper lacks are shown as of this one.
_SEARCH = "hydra/sweeper/tpe"


def sweep_rows(
    composed: Composed, aliases: Mapping[str, str], said: Callable[[Entry], str]
) -> Iterator[tuple[str, str]]:
    """The sweep settings, each with its value and the text that ``said`` makes of its comment and declaration."""
    choices: Any = OmegaConf.to_container(composed.config.hydra.runtime.choices)
    for word, key in aliases.items():
        if key.startswith("hydra/"):
            options = composed.loader.get_group_options(key)
            chosen = choices.get(key)
            yield word, "  ".join(f"*{option}" if option == chosen else option for option in options)
        elif key.startswith("hydra."):
            group, _, name = key.removeprefix("hydra.").partition(".")
            yield from _row(composed, word, name, f"hydra/{group}/{choices.get(f'hydra/{group}')}", said)


def _row(
    composed: Composed, word: str, name: str, path: str, said: Callable[[Entry], str]
) -> Iterator[tuple[str, str]]:
    for place, note in ((path, ""), (_SEARCH, "Of a search: ")):
        file = find(composed.loader, place)
        entry = dict(read(file)).get(name) if file else None
        if file and entry:
            value = OmegaConf.to_container(OmegaConf.load(file))[name]  # type: ignore[index, call-overload]
            shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{word} = {shown}", f"{note}{said(entry)}"
            return
