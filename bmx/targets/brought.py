"""Loads plug-ins from namespace packages: a module's file name is the plug-in's name.

Such a package was installed for bmx, or is in the user's own folders; either way it is trusted. One inside a run, or
next to a model file, is not, and is not imported for that run or file.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from bmx.errors import UsageError
from bmx.targets.locating import imported
from bmx.targets.standing import KEY, lies_in_run, places_on_path, run_of, trusts


def brought(namespace: str, name: str, source: Path | None = None) -> ModuleType | None:
    """The plug-in module ``namespace.name``; None where no package provides it.

    Args:
        namespace: a namespace package, such as ``bmx_verbs``.
        name: of a module in it; no plug-in has an invalid name.
        source: the run directory or the file that names it; None where the user's own code does.

    Raises:
        UsageError: it is in a run, or next to the file and not trusted, and was not imported; or its import fails.
    """
    full = f"{namespace}.{name}"
    if not name.isidentifier():
        return None
    if source is None and full in sys.modules:
        return sys.modules[full]
    with places_on_path():
        found = PathFinder.find_spec(full, _parts(namespace))
        if found is None or found.origin is None:
            return None
        _judge(full, Path(found.origin), source)
        module: ModuleType = imported(full, found.origin)
        return module


def names_in(namespace: str) -> list[str]:
    """The module names in all parts of a namespace package, sorted; none is imported."""
    with places_on_path():
        return sorted({module.name for module in pkgutil.iter_modules(_parts(namespace))})


def _parts(namespace: str) -> Sequence[str]:
    """The folders of a namespace package; imports nothing to find them."""
    importlib.invalidate_caches()  # a file may have been written since its folder was listed
    try:
        found = find_spec(namespace)
    except ValueError:  # a module that was created by hand
        found = None
    return list(found.submodule_search_locations or ()) if found is not None else []


def _judge(full: str, file: Path, source: Path | None) -> None:
    namespace = full.partition(".")[0]
    folder = next(around for around in file.parents if around.name == namespace).resolve().parent
    run, beside = run_of(source) if source is not None else (None, None)
    if lies_in_run(folder) or (run is not None and folder.is_relative_to(run)):
        fix = f"read it; if you trust it, copy {namespace} to where you stand"
        raise UsageError(f"{full} lies in a run, {folder}, and was not imported", str(source or file), fix)
    if folder == beside and not trusts(full):
        what = f"{full} lies beside the file, and you have not said that you trust it; it was not imported"
        raise UsageError(what, str(source), f"read it; add {KEY}={full}, if you know it")
