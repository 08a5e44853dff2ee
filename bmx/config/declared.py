"""The declarations that a command line is checked against, and where in it or in which file a value was written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from bmx.config import override_grammar, search_path
from bmx.config.declaration import Declaration
from bmx.config.request import Asked
from bmx.config.schema import Schema, declaration_of, of_hydra, schema
from bmx.config.validation import Told, complaint, conform_node, shown
from bmx.config.verbs import VERBS
from bmx.config.yaml_source import entries, find, folders, read
from bmx.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override


def schema_for(asked: Asked, loader: ConfigLoader | None = None) -> Schema:
    """The declarations of what was asked for, in the folders that a loader searches."""
    return schema(VERBS[asked.verb].config, asked.config, _places(loader))


def hydra_schema(part: str, loader: ConfigLoader | None = None) -> Schema:
    """The declarations of ``hydra.sweeper`` or ``hydra.launcher``."""
    return of_hydra(part, _places(loader))


def check_sweeping(config: DictConfig, asked: Asked, loader: ConfigLoader) -> None:
    """Check what a sweep's sweeper and launcher are given, as ``check_values`` does for its jobs.

    Raises:
        UsageError: for the first value that does not fit.
    """
    for part in ("sweeper", "launcher"):
        conform_node(config, f"hydra.{part}", hydra_schema(part, loader), told_of(asked, loader))


def choices_of(key: str, config: DictConfig, asked: Asked, loader: ConfigLoader | None = None) -> list[str]:
    """The words that a key may be, as they are typed: ``true`` and ``false``, ``auto``, those of ``one of a, b``.

    Where there are any, ``null`` is one too if it is a value.
    """
    found = _declaration(key, config, asked, loader)
    if found is None or not found.choices:
        return []
    return [*found.choices, *(["null"] if found.nullable else [])]


def about_of(key: str, config: DictConfig, asked: Asked, loader: ConfigLoader | None = None) -> tuple[str, ...]:
    """What a key's text is about: ``run``, ``path``, ``folder``, ...; empty where it is no text."""
    found = _declaration(key, config, asked, loader)
    return found.about if found is not None else ()


def _declaration(key: str, config: DictConfig, asked: Asked, loader: ConfigLoader | None) -> Declaration | None:
    """What a key may be, of the sweeper and the launcher too."""
    node, _, name = key.rpartition(".")
    if node not in ("hydra.sweeper", "hydra.launcher"):
        return schema_for(asked, loader).declared(key, config)
    part = node.removeprefix("hydra.")
    chosen = str(config.hydra.runtime.choices.get(f"hydra/{part}"))
    # A grid has no trials: what the chosen word does not have is as a search has it.
    for word in (chosen, "tpe"):
        file = find(loader, f"hydra/{part}/{word}") if loader is not None else None
        entry = dict(read(file)).get(name) if file else None
        if entry is not None and entry.declares:
            return declaration_of(entry)
    return None


def refuse_values(override: Override, config: DictConfig, asked: Asked, loader: ConfigLoader) -> None:
    """Raise UsageError for the first listed value of a key that its declaration does not take.

    Args:
        override: a word with several values.
        config: a configuration of one of the jobs, which knows what is built.
        asked: what was asked for.
        loader: finds the files.
    """
    key = override.get_key_element().lstrip("+")
    declaration = schema_for(asked, loader).declared(key, config)
    for value in override.sweep_iterator() if declaration is not None else ():
        assert declaration is not None
        plain = _plain(value)
        raw = None if isinstance(plain, (str, list, dict)) or plain is None else str(plain)
        wrong = complaint(key, plain, declaration, raw)
        if wrong:
            raise UsageError(wrong[0], f"the argument '{override.input_line}'", wrong[1])


def refused(word: str, at: str, asked: Asked, loader: ConfigLoader | None) -> UsageError | None:
    """What to say of a word that Hydra could not put in its place; None where its value would be right there.

    Args:
        word: with one value.
        at: the key that stands in the way, its own or one inside of its value.
        asked: what was asked for.
        loader: finds the files.
    """
    read = override_grammar.parsed(word)
    if read is None or read.is_sweep_override():
        return None
    key, value = override_grammar.key_of(word), _plain(read.value())
    known = schema_for(asked, loader)
    declaration = known.declared(key)
    if key in known.groups and isinstance(value, dict):
        word_of_it = known.groups[key] or next((path.stem for path in known.files.get(key, ())), "WORD")
        fix = f"choose a word, {key}={word_of_it}; `bmx {asked.verb} {key}={word_of_it} --help` lists its keys"
        return UsageError(f"no key '{at}'", f"the argument '{word}'", fix)
    if declaration is None or declaration.accepts(value):
        return None
    what, fix = f"{key} must be {declaration.says}, not {shown(value)}", f"write {key}={declaration.example}"
    if isinstance(value, dict) and declaration.accepts([value]):
        fix = f"write {key}=[{word.partition('=')[2]}]"
    return UsageError(what, f"the argument '{word}'", fix)


def _plain(value: Any) -> Any:
    """A value of the grammar without the quotes that it remembers."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return getattr(value, "text", value)


def told_of(asked: Asked, loader: ConfigLoader | None) -> Told:
    """Where values come from: the argument, or the file and line."""

    @cache
    def written() -> dict[str, Any]:
        try:
            return dict(entries(loader, asked.config, list(asked.words))) if loader is not None else {}
        except Exception:  # it does not compose alone, as that of a sweep's job
            return {}

    def raw(key: str) -> str | None:
        for word in reversed(asked.words):
            name, equals, value = word.partition("=")
            if equals and name.lstrip("+") == key:
                return value
        entry = written().get(key)
        return entry.raw if entry is not None else None

    return Told(lambda key: asked.where(key, loader), raw)


def text_of(key: str, config: DictConfig, asked: Asked, loader: ConfigLoader | None) -> str:
    """A text as it was typed, before the configuration is checked: ``1e3``, which Hydra has read as a number."""
    value = config.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    return told_of(asked, loader).raw(key) or str(value)


def _places(loader: ConfigLoader | None) -> tuple[Path, ...]:
    if loader is not None:
        return tuple(folders(loader))
    return (*search_path.user_dirs(), search_path.conf_dir())
