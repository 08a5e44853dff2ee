"""The YAML files that a configuration was composed from: which line sets a key, and the comment above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Entry(NamedTuple):
    """Where a key is set (line counts from 1), and the comment directly above it."""

    file: Path
    line: int
    comment: str


def entries(loader: ConfigLoader, config: str, words: list[str]) -> dict[str, Entry]:
    """Every dotted key that the chosen files set, the file that wins last; a comment is kept if the winner has none."""
    from hydra.types import RunMode

    found: dict[str, Entry] = {}
    defaults = loader.compute_defaults_list(config, words, RunMode.RUN).defaults
    for default in defaults:
        path = find(loader, default.config_path or "")
        if path is None or (default.package or "").startswith("hydra"):
            continue
        prefix = "" if default.package in (None, "", "_global_") else f"{default.package}."
        for key, entry in read(path):
            before = found.get(prefix + key)
            found[prefix + key] = entry if entry.comment or before is None else entry._replace(comment=before.comment)
    return found


def find(loader: ConfigLoader, config_path: str) -> Path | None:
    """The file of a config path (``model/lenet5``): the first on the search path, as Hydra takes it."""
    name = config_path if config_path.endswith((".yaml", ".yml")) else f"{config_path}.yaml"
    for source in loader.get_sources():
        if source.scheme() == "file":
            path = Path(source.path) / name
        elif source.scheme() == "pkg" and source.provider != "hydra":
            path = _package_folder(source.path) / name
        else:
            continue
        if path.is_file():
            return path
    return None


def read(path: Path) -> Iterator[tuple[str, Entry]]:
    """The dotted keys of one file with their entries."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    root = yaml.compose(text, Loader=Loader)
    if isinstance(root, yaml.MappingNode):
        yield from _walk(root, "", path, lines)


def describe(path: Path) -> str:
    """What a file's word is: its first comment line that is not a ``@package`` header."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            text = line.strip()
            if not text.startswith("#"):
                break
            text = text.lstrip("# ")
            if text and not text.startswith("@package"):
                return text
    return ""


def file_choosing(loader: ConfigLoader, group: str, word: str) -> str:
    """The file, and line, whose defaults list chooses a word of a group; empty if none can be found."""
    chooses = re.compile(rf"^\s*-\s.*\b{re.escape(group)}(@\S+)?\s*:\s*['\"]?{re.escape(word)}['\"]?\s*(#.*)?$")
    for source in loader.get_sources():
        if source.scheme() != "file":
            continue
        for path in sorted(Path(source.path).rglob("*.yaml")):
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if chooses.match(line):
                    return f"{path}, line {number}"
    return ""


def _walk(node: yaml.MappingNode, prefix: str, path: Path, lines: list[str]) -> Iterator[tuple[str, Entry]]:
    for key, value in node.value:
        if not prefix and key.value == "defaults":
            continue
        dotted = f"{prefix}{key.value}"
        line = key.start_mark.line
        yield dotted, Entry(path, line + 1, _comment_above(lines, line))
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _walk(value, f"{dotted}.", path, lines)


def _comment_above(lines: list[str], line: int) -> str:
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    block = [text.lstrip("# \t").rstrip() for text in lines[first:line]]
    if first == 0:  # the head of the file: its first line says what the word is, not what the key is
        block = [text for text in block if not text.startswith("@package")][1:]
    return " ".join(text for text in block if text)


def _package_folder(package: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(package.replace("/", "."))
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else Path(package)
