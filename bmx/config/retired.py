"""Keys that words had once and never used: what runs of that time have kept of them is passed over."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bmx.config.conform import RETIRED
from bmx.config.schema import schema, target_of


def without_retired(words: list[str], run: Path) -> list[str]:
    """The words that a run was started with, without those for keys that did nothing then and are refused now."""
    file = run / "config.yaml"
    config = OmegaConf.load(file) if file.exists() else None
    if not isinstance(config, DictConfig):
        return words
    return [word for word in words if not _is_retired(word.partition("=")[0].lstrip("+~"), config)]


def _is_retired(key: str, config: DictConfig) -> bool:
    node, _, last = key.rpartition(".")
    if last not in RETIRED.get(node, ()):
        return False
    fields = schema("train").by_target.get(target_of(config, node) or "")
    return fields is not None and last not in fields
