"""Trust check of the targets in a run or a model file, before any of them is imported or called.

A configuration that comes with a run is untrusted input: it may come from anywhere. Its targets may be classes of the
type their group requires, from bmx, torch and torchvision or from the user's modules; ``trust=`` adds more modules.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bmx.config.retired_keys import is_retired
from bmx.engine.places import PLACES, Place, place_of
from bmx.errors import UsageError
from bmx.targets import standing
from bmx.targets.locating import NotImported, find

# The packages that bmx builds on, for which the allowed targets of each group are known.
_KNOWN = ("bmx", "torch", "torchvision", "pytorch_lightning")
# Fields that hold a path to read or write.
_OF_FILES = re.compile(r"(^|_)(path|file|filename|dir|directory|dirpath|folder|root|url|uri)s?($|_)|path$|dir$")
_NEITHER = "use a run that you made or know; trust=MODULE adds the classes of a module that you know, nothing else"
_PIPELINE = "pipeline"
"""The marker that ``compression=pipeline`` has instead of a class."""


def judged(node: Any, group: str, source: Path) -> DictConfig:
    """Checks one group of an untrusted configuration; returns a plain copy.

    Args:
        node: the group.
        group: its key, such as ``model``.
        source: the run directory or the file that it comes from.

    Raises:
        UsageError: a target has the wrong type for its group, or is not trusted; nothing was imported or called.
    """
    plain = _plain(node, group, source)
    if not isinstance(plain, dict):
        raise UsageError(f"the run has no {group}", str(source), "use a run that bmx has made")
    _judge_all(plain, group, source, ())
    return OmegaConf.create(plain)


def judge_all(cfg: DictConfig, source: Path, typed: Sequence[str]) -> None:
    """Checks every target of a configuration that was composed from a run's overrides.

    Args:
        cfg: the configuration.
        source: the run directory.
        typed: keys that the user has typed, which are trusted.

    Raises:
        UsageError: see :func:`judged`.
    """
    for group, node in _plain(cfg, "", source).items():
        _judge_all(node, str(group), source, typed)


def _plain(node: Any, group: str, source: Path) -> Any:
    try:
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except OmegaConfBaseException as error:
        first, where = str(error).splitlines()[0], _at(source, group) if group else str(source)
        raise UsageError(
            f"the run refers to what is not there: {first}", where, "use a run that bmx has made"
        ) from error


def _judge_all(plain: Any, group: str, source: Path, typed: Sequence[str]) -> None:
    for key, target, fields in _targets(plain, group):
        place, where = place_of(key), f"{key}._target_"
        if _is_typed(where, typed) or target is None:  # null names nothing, and nothing is called
            continue
        if place is None or not isinstance(target, str):
            what = f"the run names {_shown(target)} where nothing is called"
            raise UsageError(what, _at(source, where), _NEITHER)
        _judge(target, place, where, source)
        _judge_fields(fields, target, place, key, source, typed)
    if next(_targets(plain, group), None) is None:
        return
    for key, text in _texts(plain, group):
        # An interpolation is resolved again when the node is called, and could then give another value.
        if "${" in text and not _is_typed(key, typed):
            what = f"the run writes '{_shown(text)}', which bmx does not write into a run"
            raise UsageError(what, _at(source, key), "use a run that bmx has made")


def _judge(target: str, place: Place, key: str, source: Path) -> None:
    where, root = _at(source, key), target.partition(".")[0]
    told = f"the run names {_shown(target)} as its {place.group}"
    unfit = UsageError(f"{told}, which is not {place.needs}; it was not called", where, _NEITHER)
    if standing.vouched(_group(place), target) or (place.group == "compression" and target == _PIPELINE):
        return
    if not all(part.isidentifier() for part in target.split(".")):
        raise unfit
    origin, lies = standing.origin(root, source)
    if origin in ("standard", "nowhere") and _is_word(target):
        return  # whether that can be built is checked as for any option
    if origin == "standard":
        raise unfit
    if origin == "nowhere":
        what = f"{told}, and there is no module '{root}' where you stand"
        fix = f"go to the folder that holds {root} or name it with --config-dir; or install it and add trust={root}"
        raise UsageError(what, where, fix)
    if origin == "run":
        fix = f"read it; if you trust it, copy it to where you stand and add trust={root}"
        raise UsageError(f"{told}, a module in the run itself, {lies}; it was not imported", where, fix)
    given, known = standing.trusts(target), root in _KNOWN
    if not (known or given or origin in ("user", "pack") or target in standing.targets_of_words()):
        if _is_known_unfit(target, place):
            raise unfit
        what = f"{told}, and you have not said that you trust {root}; it was not imported"
        raise UsageError(what, where, f"add trust={root}, if you know it")
    try:
        with standing.places_on_path():
            found = find(target, where, place.may_import if known and not given else lambda module: True)
    except NotImported:
        raise unfit from None
    if not _fits(found, target, place, source):
        raise unfit
    standing.vouch([(_group(place), target)])


def _is_known_unfit(target: str, place: Place) -> bool:
    """Whether a target that is already imported has the wrong type for the group."""
    try:
        found = find(target, "", lambda module: module in sys.modules)
    except (NotImported, UsageError):
        return False
    return not place.fits(found)


def _fits(found: Any, target: str, place: Place, source: Path) -> bool:
    """Whether an object may be called; decided by the module that defines it, not by the name it was found under."""
    if isinstance(found, functools.partial):
        return _fits(found.func, target, place, source)
    if place.knows(found):
        return True
    home = str(getattr(found, "__module__", None) or "")
    if inspect.isclass(found):
        return place.fits(found) and _may_be_called(home, target, source)
    if not callable(found) or home.partition(".")[0] in _KNOWN:
        return False
    # A user's function is trusted; one of a package must be annotated with its return type, or be trusted by full name.
    users = standing.origin(home.partition(".")[0], source)[0] in ("user", "beside") or _is_word(target)
    in_full = standing.trusts(target) == target
    return _may_be_called(home, target, source) and (users or in_full or place.fits(found))


def _may_be_called(home: str, target: str, source: Path) -> bool:
    """Whether definitions of a module may be called at all, whatever their group in the configuration."""
    origin = standing.origin(home.partition(".")[0], source)[0] if home else "nowhere"
    if origin in ("standard", "nowhere", "run"):
        return False
    if home.partition(".")[0] in _KNOWN:
        return bool(standing.trusts(target)) or _is_word(target)
    return origin in ("user", "pack") or bool(standing.trusts(home) or standing.trusts(target)) or _is_word(target)


def _group(place: Place) -> str:
    return place.group.partition(".")[0]


def _is_word(target: str) -> bool:
    return target in standing.targets_of_words()


def _judge_fields(
    fields: dict[str, Any], target: str, place: Place, key: str, source: Path, typed: Sequence[str]
) -> None:
    """Rejects paths in untrusted fields of bmx's or Lightning's classes, which would read or write there."""
    if target.partition(".")[0] not in _KNOWN or standing.trusts(target) == target or _is_word(target):
        return
    for name, value in fields.items():
        if value is None or not _OF_FILES.search(name) or _is_typed(f"{key}.{name}", typed):
            continue
        if is_retired(key, name, target):
            continue
        where = _at(source, f"{key}.{name}")
        if not place.may_name_folder:
            what = f"the run has {target} read or write {_shown(value)}; it was not called"
            group = key.partition("[")[0]
            raise UsageError(what, where, f"write {group} yourself, or add trust={target}")
        if not Path(str(value)).expanduser().is_dir():
            fix = f"say where they are now: {place.group}=WORD {place.group}.{name}=FOLDER"
            raise UsageError(f"the data of this run were in {_shown(value)}, which is not there", where, fix)


def _targets(value: Any, key: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yields every node that would be called: its key, its target, its fields."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value["_target_"], {str(name): inner for name, inner in value.items() if name != "_target_"}
        for name, inner in value.items():
            yield from _targets(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _targets(inner, f"{key}[{number}]")


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{key}[{number}]")
    elif isinstance(value, str):
        yield key, value


def _is_typed(key: str, typed: Sequence[str]) -> bool:
    """Whether the user has typed this key or a parent of it; choosing an option of a group does not count."""
    return any(key == own or (key.startswith((f"{own}.", f"{own}[")) and own not in PLACES) for own in typed)


def _at(source: Path, key: str) -> str:
    return f"{key} in {source}"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else f"{text[:77]}..."
