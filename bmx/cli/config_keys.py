"""The dotted keys of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from bmx.cli.near import near


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


def nearest_keys(key: str, known: list[str]) -> list[str]:
    """Known keys like this one: in a node that exists, those of that node; else any, by whole name or last part."""
    parent, _, last = key.rpartition(".")
    if parent in known:
        return [f"{parent}.{part}" for part in near(last, parts(parent, known))]
    by_last: dict[str, list[str]] = {}
    for name in known:
        by_last.setdefault(name.rpartition(".")[2], []).append(name)
    alike = [full for part in near(last, by_last) for full in by_last[part]]
    return list(dict.fromkeys([*near(key, known), *alike]))[:3]


def parts(node: str, known: list[str]) -> list[str]:
    """The keys of one node, by their last part, without those that Hydra reads."""
    inside = [name.removeprefix(f"{node}.") for name in known if name.startswith(f"{node}.")]
    return [part for part in inside if "." not in part and not part.startswith("_")]
