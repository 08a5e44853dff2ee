"""The dotted keys of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from bmx.config.suggestions import nearest_keys, parts

__all__ = ["flatten", "is_node", "keys", "nearest_keys", "parts"]


def is_node(value: Any) -> bool:
    """Whether a value holds keys of its own."""
    return isinstance(value, DictConfig) and not (value._is_none() or value._is_missing() or value._is_interpolation())


def flatten(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values as written, parents before their children, without Hydra's own node."""
    for key, value in config.items_ex(resolve=False):
        if not prefix and key == "hydra":
            continue
        yield f"{prefix}{key!s}", value
        if is_node(value):
            yield from flatten(value, f"{prefix}{key!s}.")


def keys(config: DictConfig) -> list[str]:
    """The dotted keys alone."""
    return [key for key, _ in flatten(config)]
