"""Trust in the modules that a run may load: the user's own folders, ``trust=``, and where a package comes from."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, cast

from bmx.errors import UsageError
from bmx.extras import is_there
from bmx.targets.blame import is_installed

Named = tuple[str, str]
"""A target and the config group that names it: a target trusted as a model is not trusted as data."""

P = ParamSpec("P")
R = TypeVar("R")

KEY = "trust"
"""The key of the verbs that load runs, and the parameter of ``bmx.load``."""

Origin = Literal["user", "pack", "beside", "run", "standard", "elsewhere", "nowhere"]
"""Origin of a package: the user's own folders; an installed config pack; next to the file that names it; inside the
run that names it; Python itself; any other installed package; or not found."""


@dataclass
class _Scope:
    """The trust of one call: module and object names, and the targets of its own configuration."""

    names: tuple[str, ...] = ()
    own: set[Named] = field(default_factory=set)


_scope: ContextVar[_Scope | None] = ContextVar("trust", default=None)
# Config directories that the user has named in this process, with --config-dir.
_folders: list[Path] = []


def stand_beside(folder: Path) -> None:
    """Adds the parent of a config directory that the user has named to the user's own folders."""
    _folders[:] = [*(other for other in _folders if other != folder), folder]


def last_named() -> Path | None:
    """The config directory that was named last in this process."""
    return _folders[-1] if _folders else None


@contextmanager
def standing_kept() -> Iterator[None]:
    """Restores the named config directories on exit."""
    before = list(_folders)
    try:
        yield
    finally:
        _folders[:] = before


def word_folders() -> list[Path]:
    """The user's config directories: those that were named, those of $BMX_CONF, and ``./bmx_conf``."""
    named = [Path(name).expanduser().resolve() for name in os.environ.get("BMX_CONF", "").split(os.pathsep) if name]
    found = [*_folders, *named, Path("bmx_conf").resolve()]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir() and not lies_in_run(folder)]


def places() -> list[Path]:
    """The folders whose modules are the user's own; none of them is inside a run."""
    found = [Path.cwd().resolve(), *(folder.parent for folder in word_folders())]
    return [place for place in dict.fromkeys(found) if not lies_in_run(place) and not is_installed(place)]


def lies_in_run(folder: Path) -> bool:
    """Whether a folder is a run directory or lies in one."""
    return any(_is_run(around) for around in (folder, *folder.parents))


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run directory; ``config.yaml`` or ``checkpoints`` alone may be the user's project."""
    words = (folder / ".hydra" / "overrides.yaml").is_file()
    if (folder / "result.json").is_file():
        return words or (folder / "config.yaml").is_file()
    return words and (folder / "checkpoints").is_dir()


def run_of(file: Path) -> tuple[Path | None, Path | None]:
    """The run directory of a model file, or else the folder that holds the file outside any run."""
    file = file.resolve()
    if file.is_dir():
        return file, None
    if file.parent.name == "checkpoints":
        return file.parent.parent, None
    around = next((folder for folder in file.parents if _is_run(folder)), None)
    return (around, None) if around is not None else (None, file.parent)


def settings(trust: object) -> tuple[str, ...]:
    """The module names in ``trust=``: one, or a list of them.

    Raises:
        UsageError: no module name, a module of Python itself, or one that cannot be found.
    """
    listed = [trust] if isinstance(trust, str) else [] if trust is None else trust
    if not isinstance(listed, Iterable):
        listed = [listed]
    names = []
    for name in listed:
        where, fix = f"{KEY}={name}", f"name a module that you know, as in {KEY}=my_net"
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"{KEY} takes names of modules, not {name!r}", where, fix)
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names:
            raise UsageError(f"{root} is a part of Python and holds nothing that a run needs", where, fix)
        with places_on_path():
            if not is_there(root):
                raise UsageError(f"there is no module '{root}' to trust", where, f"put it into {Path.cwd()}")
        names.append(name)
    return tuple(names)


@contextmanager
def trusting(trust: object = None, own: Iterable[Named] = ()) -> Iterator[None]:
    """Context that trusts the names in ``trust=`` and the targets of the call's own configuration.

    Args:
        trust: a name, a list of names, or None.
        own: targets that the user has chosen themselves.

    Raises:
        UsageError: ``trust`` is invalid.
    """
    outer = _scope.get() or _Scope()
    token = _scope.set(_Scope((*outer.names, *settings(trust)), outer.own | set(own)))
    try:
        yield
    finally:
        _scope.reset(token)


def with_its_trust(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: runs a function of a configuration with the trust that it gives, by its targets and its ``trust``.

    The configuration, the first argument, is the user's own; content of a run is judged when it is loaded.
    """

    @wraps(function)
    def trusted(*args: P.args, **kwargs: P.kwargs) -> R:
        cfg = cast(Any, args[0] if args else kwargs["cfg"])
        with trusting(cfg.get(KEY), named_in(cfg)):
            return function(*args, **kwargs)

    return trusted


def vouch(named: Iterable[Named]) -> None:
    """Adds targets that are trusted in the current call: chosen by the user, or checked."""
    scope = _scope.get()
    if scope is not None:
        scope.own.update(named)


def all_vouched() -> frozenset[Named]:
    """The targets trusted in the current call, chosen by the user or checked."""
    scope = _scope.get()
    return frozenset(scope.own) if scope is not None else frozenset()


def vouched(group: str, target: str) -> bool:
    """Whether a target of a group is trusted in the current call, chosen by the user or checked."""
    scope = _scope.get()
    return scope is not None and (group, target) in scope.own


def trusts(name: str) -> str:
    """The name in ``trust=`` that covers a dotted name; empty if there is none."""
    scope = _scope.get()
    return next((t for t in (scope.names if scope else ()) if name == t or name.startswith(f"{t}.")), "")


def targets_in(node: Any) -> set[str]:
    """Every ``_target_`` of a configuration, at any depth; those with ``${`` are left out."""
    from omegaconf import OmegaConf

    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            target = value.get("_target_")
            if isinstance(target, str) and "${" not in target:
                found.add(target)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    walk(OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node)
    return found


def named_in(config: Any) -> set[Named]:
    """Every ``_target_`` of a whole configuration, with its group."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    groups = plain.items() if isinstance(plain, dict) else ()
    return {(str(group), target) for group, node in groups for target in targets_in(node)}


def targets_of_words() -> set[str]:
    """The targets named in the user's own config directories."""
    return targets_of(word_folders())


def targets_of(folders: Iterable[Path]) -> set[str]:
    """The targets named in config directories."""
    import yaml

    found: set[str] = set()
    for folder in folders:
        for file in sorted(folder.rglob("*.y*ml"))[:1000]:
            try:
                found |= targets_in(yaml.safe_load(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, yaml.YAMLError):
                continue
    return found


@contextmanager
def places_on_path() -> Iterator[None]:
    """Context in which the user's own modules can be imported; they come last on the path, as on the command line."""
    added = [str(place) for place in places() if str(place) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for place in added:
            if place in sys.path:
                sys.path.remove(place)


def origin(package: str, source: Path) -> tuple[Origin, str]:
    """The origin of a package that a run or model file names, and its path; imports nothing to find out.

    Args:
        package: its name, without dots.
        source: the run directory or the file.
    """
    if package in sys.stdlib_module_names or package in sys.builtin_module_names:
        return "standard", "Python itself"
    found = _folders_of(package)
    if not found:
        return ("user", "this session") if package == "__main__" and _is_interactive() else ("nowhere", "")
    run, beside = run_of(source)
    where = str(found[0])
    if any(lies_in_run(folder) or (run is not None and folder.is_relative_to(run)) for folder in found):
        return "run", where
    if beside is not None and beside in found:  # it may have come with the file
        return "beside", where
    if set(found) <= set(places()):
        return "user", where
    if package in _packs(tuple(sys.path)):
        return "pack", where
    return "elsewhere", where


@lru_cache(maxsize=8)
def _packs(path: tuple[str, ...]) -> set[str]:
    """The packages on the import path that provide configuration: they were installed for bmx."""
    from importlib.metadata import entry_points

    return {entry.value.partition(".")[0] for entry in entry_points(group="bmx.conf")}


def _folders_of(package: str) -> list[Path]:
    """The import-path entries in which a package or module is found."""
    if package in sys.modules:
        module = sys.modules[package]
        files = [*(getattr(module, "__path__", None) or []), *filter(None, [getattr(module, "__file__", None)])]
        files = files[:-1] if len(files) > 1 else files
    else:
        importlib.invalidate_caches()  # the file may have been written since its folder was listed
        with places_on_path():
            try:
                spec = importlib.util.find_spec(package)
            except (ImportError, ValueError):
                spec = None
        if spec is None:
            return []
        files = [*(spec.submodule_search_locations or ([spec.origin] if spec.origin else []))]
    return [Path(file).resolve().parent for file in files]


def _is_interactive() -> bool:
    return not hasattr(sys.modules.get("__main__"), "__file__")
