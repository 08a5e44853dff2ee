"""Checks ``~key`` overrides, which delete a key or a group: only optional ones may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from bmx.config.keys import keys
from bmx.config.request import Asked
from bmx.config.validation import OPTIONAL
from bmx.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

# Fields that bmx reads itself, not the class that the node builds.
_READ = ("data.val_size", "data.workers")


def refuse_deletions(asked: Asked, loader: ConfigLoader) -> None:
    """Raises UsageError for a ``~key`` that the verb needs; its default would be put back."""
    for word in asked.words:
        wrong = wrong_deletion(word, asked, loader) if word.startswith("~") else None
        if wrong is not None:
            raise wrong


def _has_reader(key: str, config: DictConfig) -> bool:
    """Whether the key is a field of an object that is built, which knows its own fields."""
    node = key
    while node:
        value = OmegaConf.select(config, node, throw_on_missing=False)
        if OmegaConf.is_dict(value) and value.get("_target_"):
            return True
        node = node.rpartition(".")[0]
    return False


def wrong_deletion(word: str, asked: Asked, loader: ConfigLoader) -> UsageError | None:
    """The error of a deletion; None if it is valid."""
    from hydra.types import RunMode

    key, where = word.partition("=")[0].lstrip("~"), f"the argument '{word}'"
    replaced = any(other.startswith((f"+{key}=", f"++{key}=")) for other in asked.words)
    if key.startswith("hydra") or "@" in key or replaced:
        return None
    usual = root_choices(asked.config, loader)
    if key in usual:
        if usual[key] is None or key in OPTIONAL:
            return None
        return UsageError(f"bmx {asked.verb} needs a word of the group '{key}'", where, f"write {key}={usual[key]}")
    try:
        others = [one for one in asked.words if one != word]
        config = loader.load_configuration(asked.config, others, RunMode.MULTIRUN if asked.multirun else RunMode.RUN)
    except Exception:  # another override is invalid, which is reported by itself
        return None
    if key not in keys(config):
        return None
    parent = key.rpartition(".")[0]
    if parent and key not in _READ and _has_reader(parent, config):
        return None
    value = OmegaConf.select(config, key, throw_on_missing=False)
    if OmegaConf.is_dict(value):
        return UsageError(f"bmx {asked.verb} reads {key}, which cannot be taken away", where, "leave it out")
    from bmx.config.quoting import written

    plain = OmegaConf.to_container(value, resolve=False) if OmegaConf.is_list(value) else value
    off = "false" if isinstance(plain, bool) else written(plain)
    return UsageError(f"bmx {asked.verb} reads {key}, which cannot be taken away", where, f"write {key}={off}")


def root_choices(root: str, loader: ConfigLoader) -> dict[str, str | None]:
    """The default option of each group in a verb's root file; Hydra's own left out."""
    from hydra.types import RunMode

    try:
        chosen = loader.compute_defaults_list(root, [], RunMode.RUN).overrides.known_choices
    except Exception:  # an invalid configuration file, which composing reports
        return {}
    return {
        str(group): None if word in (None, "null") else str(word)
        for group, word in chosen.items()
        if not str(group).startswith("hydra")
    }
