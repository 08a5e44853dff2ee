"""``experiment=glob(...)``: the experiments of this verb, and not those that choose from groups only others have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override

_GROUP = "experiment"


def listed(word: str, override: Override, root: str, loader: ConfigLoader) -> str:
    """The word with a glob over experiments written out as those that ``root`` can be composed with.

    Args:
        word: as typed.
        override: the same, parsed.
        root: the verb's root file.
        loader: finds the files.
    """
    from hydra.core.override_parser.types import Glob
    from hydra.types import RunMode

    if override.key_or_group != _GROUP or not isinstance(override.value(), Glob):
        return word
    groups = set(loader.compute_defaults_list(root, [], RunMode.RUN).overrides.known_choices)
    fitting = [name for name in override.sweep_string_iterator() if _groups_of(name, loader) <= groups]
    return f"{_GROUP}={','.join(fitting)}" if fitting else word


def _groups_of(name: str, loader: ConfigLoader) -> set[str]:
    """The groups that an experiment's file chooses from."""
    repository: Any = getattr(loader, "repository")  # noqa: B009  (not in the loader's abstract class)
    found = repository.load_config(f"{_GROUP}/{name}")
    defaults = found.defaults_list if found is not None else None
    return {str(d.group).lstrip("/") for d in defaults or [] if d.is_override()}
