"""Drops retired keys, which never had an effect, from the records of old runs."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bmx.config.schema import schema, target_of
from bmx.config.validation import RETIRED


def without_retired(words: list[str], run: Path) -> list[str]:
    """The overrides of a run without those for keys that had no effect then and are rejected now."""
    file = run / "config.yaml"
    config = OmegaConf.load(file) if file.exists() else None
    if not isinstance(config, DictConfig):
        return words
    return [word for word in words if not _is_retired(word.partition("=")[0].lstrip("+~"), config)]


def is_retired(node: str, key: str, target: str) -> bool:
    """Whether a key of a node is retired and not a field of the class that the node builds.

    Args:
        node: the node, such as ``data``.
        key: the key in it, such as ``dir``.
        target: the ``_target_`` of the node.
    """
    if key not in RETIRED.get(node, ()):
        return False
    fields = schema("train").by_target.get(target)
    return fields is not None and key not in fields


def _is_retired(key: str, config: DictConfig) -> bool:
    node, _, last = key.rpartition(".")
    return is_retired(node, last, target_of(config, node) or "")
