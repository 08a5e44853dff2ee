"""Lists the experiments that a verb can compose: those that use only its config groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override

_GROUP = "experiment"


def listed(word: str, override: Override, root: str, loader: ConfigLoader) -> str:
    """Expands a glob over experiments to those that ``root`` can be composed with.

    Args:
        word: the override as typed.
        override: the same, parsed.
        root: the verb's root file.
        loader: finds the files.
    """
    from hydra.core.override_parser.types import Glob

    if override.key_or_group != _GROUP or not isinstance(override.value(), Glob):
        return word
    names = _fitting([str(name) for name in override.sweep_string_iterator()], root, loader)
    return f"{_GROUP}={','.join(names)}" if names else word


def words_of(group: str, root: str, loader: ConfigLoader) -> list[str]:
    """The options of a group that a verb can choose, for help and completion."""
    words: list[str] = loader.get_group_options(group)
    return _fitting(words, root, loader) if group == _GROUP else words


def _fitting(names: list[str], root: str, loader: ConfigLoader) -> list[str]:
    from hydra.types import RunMode

    groups = set(loader.compute_defaults_list(root, [], RunMode.RUN).overrides.known_choices)
    return [name for name in names if _groups_of(name, loader) <= groups]


def _groups_of(name: str, loader: ConfigLoader) -> set[str]:
    """The groups that an experiment's file chooses from; none if it is unreadable, which choosing it reports."""
    repository: Any = getattr(loader, "repository")  # noqa: B009  (not in the loader's abstract class)
    try:
        found = repository.load_config(f"{_GROUP}/{name}")
    except Exception:
        return set()
    defaults = found.defaults_list if found is not None else None
    return {str(d.group).lstrip("/") for d in defaults or [] if d.is_override()}
