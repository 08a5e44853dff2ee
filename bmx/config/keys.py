"""Iterates over the dotted keys of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from bmx.config.suggestions import nearest_keys, parts

__all__ = ["flatten", "is_node", "keys", "nearest_keys", "parts"]


def is_node(value: Any) -> bool:
    """Whether a value is a dictionary node with keys of its own."""
    return isinstance(value, DictConfig) and not (value._is_none() or value._is_missing() or value._is_interpolation())


def flatten(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their unresolved values, parents before their children, without the ``hydra`` node."""
    for key, value in config.items_ex(resolve=False):
        if not prefix and key == "hydra":
            continue
        yield f"{prefix}{key!s}", value
        if is_node(value):
            yield from flatten(value, f"{prefix}{key!s}.")


def keys(config: DictConfig) -> list[str]:
    """The dotted keys, without values."""
    return [key for key, _ in flatten(config)]
