"""Source locations of configuration keys: the YAML file and line that set each, and the comment above it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bmx.config.declaration import MARK
from bmx.config.yaml_comments import Entry, Loader, read

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

__all__ = ["Entry", "Loader", "describe", "entries", "file_choosing", "find", "folders", "read"]


def entries(loader: ConfigLoader, config: str, words: list[str]) -> dict[str, Entry]:
    """Every dotted key that the chosen files set, from the file that wins; the comment is the root's, if it has one."""
    from hydra.types import RunMode

    found: dict[str, Entry] = {}
    of_root: set[str] = set()
    defaults = loader.compute_defaults_list(config, words, RunMode.RUN).defaults
    for default in defaults:
        path = find(loader, default.config_path or "")
        if path is None or (default.package or "").startswith("hydra"):
            continue
        prefix = "" if default.package in (None, "", "_global_") else f"{default.package}."
        is_root = "/" not in (default.config_path or "")
        for key, entry in read(path):
            before = found.get(prefix + key)
            if before is not None and not entry.declares:
                entry = entry._replace(declares=before.declares)
            # A group that sets lr comments on its own value; the root comments on lr itself.
            kept = before is not None and (not entry.comment or (prefix + key in of_root and not is_root))
            found[prefix + key] = entry._replace(comment=before.comment) if kept and before else entry
            if is_root and entry.comment:
                of_root.add(prefix + key)
    return found


def find(loader: ConfigLoader, config_path: str) -> Path | None:
    """The file of a config path (``model/lenet5``): the first on the search path, as Hydra finds it."""
    name = config_path if config_path.endswith((".yaml", ".yml")) else f"{config_path}.yaml"
    return next((folder / name for folder in folders(loader) if (folder / name).is_file()), None)


def folders(loader: ConfigLoader) -> list[Path]:
    """The directories of the search path, without Hydra's own."""
    found = []
    for source in loader.get_sources():
        if source.scheme() == "file":
            found.append(Path(source.path))
        elif source.scheme() == "pkg" and source.provider != "hydra":
            found.append(_package_folder(source.path))
    return found


def describe(path: Path) -> str:
    """The description of a file's option: its first comment line that is not a ``@package`` header."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            text = line.strip()
            if not text.startswith("#"):
                break
            if text.startswith(MARK):
                continue
            text = text.lstrip("# ")
            if text and not text.startswith("@package"):
                return text
    return ""


def file_choosing(loader: ConfigLoader, group: str, word: str) -> str:
    """The file, and line, whose defaults list chooses an option of a group; empty if none can be found."""
    chooses = re.compile(rf"^\s*-\s.*\b{re.escape(group)}(@\S+)?\s*:\s*['\"]?{re.escape(word)}['\"]?\s*(#.*)?$")
    for source in loader.get_sources():
        if source.scheme() != "file":
            continue
        for path in sorted(Path(source.path).rglob("*.yaml")):
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if chooses.match(line):
                    return f"{path}, line {number}"
    return ""


def _package_folder(package: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(package.replace("/", "."))
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else Path(package)
