"""Hashes of the user's code that a configuration names, to detect changes since a model was trained.

Files are found and read, never imported. Installed packages and bmx are identified by version; what is left are the
user's local modules, and the local modules that they import.
"""

from __future__ import annotations

import ast
import hashlib
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

_TARGET = "_target_"
_BMX = Path(__file__).resolve().parent.parent


def targets(config: Any) -> set[str]:
    """Every ``_target_`` in a plain configuration, at whatever depth."""
    if isinstance(config, Mapping):
        own = {str(config[_TARGET])} if isinstance(config.get(_TARGET), str) else set()
        return own.union(*map(targets, config.values()))
    if isinstance(config, list | tuple):
        return set().union(*map(targets, config))
    return set()


def own_code(config: Any) -> dict[str, dict[str, str]]:
    """Hashes of the user's modules that a configuration is built from, by module.

    Args:
        config: plain containers.

    Returns:
        ``{"my_net": {"text": ..., "code": ...}}``: hashes of the file, and of its syntax tree, which comments and
        layout do not change.
    """
    named = sorted(target for target in targets(config) if target.partition(".")[0] not in ("bmx", "torch"))
    if not named:
        return {}
    wanted = tuple((target, _top(target.partition(".")[0])) for target in named)
    known = _read.get(wanted)
    if known is None or any(_state(file) != state for file, state in known[0].items()):
        files: dict[str, Path] = {}
        found = _hashes(named, files)
        _read[wanted] = known = ({file: _state(file) for file in files.values()}, found)
    return {name: dict(hashes) for name, hashes in known[1].items()}


# Cached hashes by targets, with the state of the files then: a sweep needs them for every job.
_Wanted = tuple[tuple[str, Path | None], ...]
_Hashes = dict[str, dict[str, str]]
_read: dict[_Wanted, tuple[dict[Path, tuple[int, int] | None], _Hashes]] = {}


def _state(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _hashes(left: list[str], files: dict[str, Path]) -> _Hashes:
    """The hashes of the user's own modules along some dotted paths, and of those that they import."""
    found: dict[str, dict[str, str]] = {}
    while left:
        for name, file in _modules(left.pop()):
            if name in found:
                continue
            try:
                text = file.read_bytes()
            except OSError:  # removed since it was found
                continue
            tree, files[name] = _parsed(text), file
            found[name] = {"text": _digest(text), "code": _digest(_meaning(tree) if tree else text)}
            left.extend(_imported(tree, name, file.name == "__init__.py") if tree else ())
    return dict(sorted(found.items()))


def installed(config: Any) -> dict[str, str]:
    """The version of each installed package that a configuration is built from, other than bmx and torch."""
    found = {}
    for top in sorted({target.partition(".")[0] for target in targets(config)} - {"bmx", "torch"}):
        try:
            found[top] = metadata.version(top)
        except metadata.PackageNotFoundError:  # the user's own, or one whose distribution has another name
            continue
    return found


def _modules(path: str) -> Iterator[tuple[str, Path]]:
    """The user's modules along a dotted path: packages and the module in them, without classes and functions."""
    first, *rest = path.split(".")
    at = _top(first)
    if at is None or not _is_own(at):
        return
    name, file = first, at
    if file.is_file():  # a package may do without an __init__.py
        yield name, file
    for part in rest:
        if file.name != "__init__.py":
            return
        below = (file.parent / f"{part}.py", file.parent / part / "__init__.py")
        inner = next((one for one in below if one.is_file()), None)
        if inner is None and not (file.parent / part).is_dir():
            return
        name, file = f"{name}.{part}", inner or below[1]
        if inner is not None:
            yield name, file


def _top(name: str) -> Path | None:
    """The file of a module or package on Python's path; for a package without ``__init__.py``, where that would be."""
    loaded = sys.modules.get(name)
    try:
        spec = util.find_spec(name) if loaded is None else loaded.__spec__
    except (ImportError, ValueError, AttributeError):
        return None
    file = getattr(loaded, "__file__", None) or (spec.origin if spec is not None and spec.has_location else None)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    if not file and folders:
        file = str(Path(folders[0]) / "__init__.py")
    return Path(file).resolve() if file and file.endswith(".py") else None


def _is_own(file: Path) -> bool:
    if file.is_relative_to(_BMX) or "site-packages" in file.parts or "dist-packages" in file.parts:
        return False
    return not any(file.is_relative_to(folder) for folder in _not_own())


def _not_own() -> Iterable[Path]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    named = [sysconfig.get_paths().get(kind) for kind in kinds] + [*site.getsitepackages(), site.getusersitepackages()]
    return [Path(folder).resolve() for folder in named if folder]


def _parsed(text: bytes) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _meaning(tree: ast.Module) -> bytes:
    return ast.dump(tree, include_attributes=False).encode("utf-8", "surrogatepass")


def _imported(tree: ast.Module, name: str, is_package: bool) -> Iterator[str]:
    """The dotted paths that a module imports, wherever in it."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()
