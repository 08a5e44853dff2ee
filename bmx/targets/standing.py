"""Where the user stands, and whom the command trusts: the modules that what a run names may be taken from."""

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
"""A target, with the group that names it: what is chosen as a model is not chosen as data."""

P = ParamSpec("P")
R = TypeVar("R")

KEY = "trust"
"""The key of the verbs that load runs, and the parameter of ``bmx.load``."""

Origin = Literal["user", "pack", "beside", "run", "standard", "elsewhere", "nowhere"]
"""Whose a package is: the user's own, where they stand; of an installed pack of words; beside the file that names it;
in the run that names it; of Python itself; any other that is installed; or not there."""


@dataclass
class _Scope:
    """What one call trusts: modules and objects by name, and the targets that its own configuration names."""

    names: tuple[str, ...] = ()
    own: set[Named] = field(default_factory=set)


_scope: ContextVar[_Scope | None] = ContextVar("trust", default=None)
# Folders of words that the user has named in this process, with --config-dir.
_folders: list[Path] = []


def stand_beside(folder: Path) -> None:
    """Counts the place of a folder of words, which the user has named, among those where the user stands."""
    _folders[:] = [*(other for other in _folders if other != folder), folder]


def last_named() -> Path | None:
    """The folder of words that was named last in this process."""
    return _folders[-1] if _folders else None


@contextmanager
def standing_kept() -> Iterator[None]:
    """Forgets afterwards what was named while it lasted."""
    before = list(_folders)
    try:
        yield
    finally:
        _folders[:] = before


def word_folders() -> list[Path]:
    """The user's own folders of words: those that were named, those of $BMX_CONF, and ``bmx_conf`` where they are."""
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
    """Not every folder with a ``config.yaml`` or with ``checkpoints`` is one: the user's project may have them."""
    words = (folder / ".hydra" / "overrides.yaml").is_file()
    if (folder / "result.json").is_file():
        return words or (folder / "config.yaml").is_file()
    return words and (folder / "checkpoints").is_dir()


def run_of(file: Path) -> tuple[Path | None, Path | None]:
    """The run directory that a model file belongs to, or else the folder in which it lies alone."""
    file = file.resolve()
    if file.is_dir():
        return file, None
    if file.parent.name == "checkpoints":
        return file.parent.parent, None
    around = next((folder for folder in file.parents if _is_run(folder)), None)
    return (around, None) if around is not None else (None, file.parent)


def settings(trust: object) -> tuple[str, ...]:
    """The names that ``trust=`` gives: one, or a list of them.

    Raises:
        UsageError: what is no name of a module, one of Python itself, or one that is not there.
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
    """While it lasts, what ``trust=`` names is trusted, and so are the targets of the call's own configuration.

    Args:
        trust: a name, a list of names, or None.
        own: targets that the user has chosen themselves.

    Raises:
        UsageError: ``trust`` cannot be trusted.
    """
    outer = _scope.get() or _Scope()
    token = _scope.set(_Scope((*outer.names, *settings(trust)), outer.own | set(own)))
    try:
        yield
    finally:
        _scope.reset(token)


def with_its_trust(function: Callable[P, R]) -> Callable[P, R]:
    """Has a function of a configuration run with the trust that this configuration gives, in itself and in ``trust``.

    The configuration is the user's own, its first argument; what it takes from a run is judged as it is taken.
    """

    @wraps(function)
    def trusted(*args: P.args, **kwargs: P.kwargs) -> R:
        cfg = cast(Any, args[0] if args else kwargs["cfg"])
        with trusting(cfg.get(KEY), named_in(cfg)):
            return function(*args, **kwargs)

    return trusted


def vouch(named: Iterable[Named]) -> None:
    """Adds targets to what the call in progress has chosen itself, or has judged."""
    scope = _scope.get()
    if scope is not None:
        scope.own.update(named)


def all_vouched() -> frozenset[Named]:
    """The targets that the call in progress has chosen itself, or has judged."""
    scope = _scope.get()
    return frozenset(scope.own) if scope is not None else frozenset()


def vouched(group: str, target: str) -> bool:
    """Whether the call in progress has chosen or judged this target itself, for this group."""
    scope = _scope.get()
    return scope is not None and (group, target) in scope.own


def trusts(name: str) -> str:
    """The name given with ``trust=`` that a dotted name is or lies in; empty if there is none."""
    scope = _scope.get()
    return next((t for t in (scope.names if scope else ()) if name == t or name.startswith(f"{t}.")), "")


def targets_in(node: Any) -> set[str]:
    """Every ``_target_`` of a configuration, however deep; what is written with ``${`` is left out."""
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
    """The targets that the user's own folders of words name."""
    return targets_of(word_folders())


def targets_of(folders: Iterable[Path]) -> set[str]:
    """The targets that folders of words name."""
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
    """While it lasts, the user's own modules can be imported; they come last, as on the command line."""
    added = [str(place) for place in places() if str(place) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for place in added:
            if place in sys.path:
                sys.path.remove(place)


def origin(package: str, source: Path) -> tuple[Origin, str]:
    """Whose a package is that a run or a model file names, and where it lies; nothing is imported to find that out.

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
    if beside is not None and beside in found:  # it came with the file, for all that anyone can tell
        return "beside", where
    if set(found) <= set(places()):
        return "user", where
    if package in _packs(tuple(sys.path)):
        return "pack", where
    return "elsewhere", where


@lru_cache(maxsize=8)
def _packs(path: tuple[str, ...]) -> set[str]:
    """The packages on the import path that bring words of their own: they were installed for bmx."""
    from importlib.metadata import entry_points

    return {entry.value.partition(".")[0] for entry in entry_points(group="bmx.conf")}


def _folders_of(package: str) -> list[Path]:
    """The folders in which a package or module lies: the entries of the import path that it was found by."""
    if package in sys.modules:
        module = sys.modules[package]
        files = [*(getattr(module, "__path__", None) or []), *filter(None, [getattr(module, "__file__", None)])]
        files = files[:-1] if len(files) > 1 else files
    else:
        importlib.invalidate_caches()  # the file may have been written since its folder was looked at
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
