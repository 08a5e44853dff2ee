"""Parses a YAML file with line, comment and type declaration of each key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bmx.config.declaration import MARK

Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Entry(NamedTuple):
    """Where a key is set (line counts from 1), and the comment directly above it."""

    file: Path
    line: int
    comment: str
    declares: str = ""
    """The declaration, without its ``#:``; empty where there is none."""
    raw: str | None = None
    """The source text of a scalar or a list of scalars; None otherwise."""
    value: Any = None
    """The value as YAML reads it; empty for a mapping."""
    is_map: bool = False


class File(NamedTuple):
    """One configuration file, parsed."""

    package: str | None
    """Its ``@package`` header; None without one."""
    defaults: tuple[Any, ...]
    """Its defaults list."""
    entries: dict[str, Entry]
    """Its dotted keys, parents before their children."""


def read(path: Path) -> Iterator[tuple[str, Entry]]:
    """The dotted keys of one file with their entries."""
    yield from load(path).entries.items()


def load(path: Path) -> File:
    """Parses a file; cached until it changes."""
    stat = path.stat()
    return _load(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=512)
def _load(path: Path, changed: int, size: int) -> File:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    header = re.match(r"\s*#\s*@package\s+(\S+)", text)
    root = yaml.compose(text, Loader=Loader)
    if not isinstance(root, yaml.MappingNode):
        return File(header[1] if header else None, (), {})
    defaults = next((_plain(value) for key, value in root.value if key.value == "defaults"), None)
    listed = tuple(defaults) if isinstance(defaults, list) else ()
    return File(header[1] if header else None, listed, dict(_walk(root, "", path, lines)))


def _walk(node: yaml.MappingNode, prefix: str, path: Path, lines: list[str]) -> Iterator[tuple[str, Entry]]:
    for key, value in node.value:
        if not prefix and key.value == "defaults":
            continue
        dotted = f"{prefix}{key.value}"
        line = key.start_mark.line
        comment, declares = _above(lines, line)
        is_map = isinstance(value, yaml.MappingNode) and not value.flow_style
        raw = _written(value)
        yield dotted, Entry(path, line + 1, comment, declares, raw, {} if is_map else _plain(value), is_map)
        if is_map:
            yield from _walk(value, f"{dotted}.", path, lines)


def _written(node: yaml.Node) -> str | None:
    """The source text of a scalar, or a list of them; None for everything else."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    plain = [str(item.value) for item in items if isinstance(item, yaml.ScalarNode)]
    if not plain or len(plain) != len(items) or any(set(text) & set(",[]{}()'\"\\") for text in plain):
        return None
    return f"[{','.join(plain)}]"


def _above(lines: list[str], line: int) -> tuple[str, str]:
    """The comment above a line, and the declaration in it."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    block = [text.strip() for text in lines[first:line]]
    declared = [text.removeprefix(MARK).strip() for text in block if text.startswith(MARK)]
    prose = [text.lstrip("# \t") for text in block if not text.startswith(MARK)]
    if first == 0:  # the head of the file: its first line describes the option, not the key
        prose = [text for text in prose if not text.startswith("@package")][1:]
    return " ".join(text for text in prose if text), " ".join(declared)


def _plain(node: yaml.Node) -> Any:
    """The value of a node as YAML reads it, which for scalars equals OmegaConf's but for rarities such as 1e3."""
    return yaml.constructor.SafeConstructor().construct_object(node, deep=True)
