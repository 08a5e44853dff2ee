"""What other packages bring by the name of a file: modules of a namespace package on the import path.

Such a package was installed for bmx, or stands where the user stands; either way it is the user's own. What lies in a
run, or came beside a model file, is not, and is not imported for that run or file.
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
    """The module ``namespace.name``, or None where no package brings it.

    Args:
        namespace: the package that several may have a part of, such as ``bmx_verbs``.
        name: of a module in it; what is no name of one is brought by nobody.
        source: the run directory or the file that names it; None where the user's own code does.

    Raises:
        UsageError: it lies in a run, or beside the file and nobody trusts it, and was not imported; or it fails.
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
    """The names of the modules in all parts of a namespace package, in order; none is imported."""
    with places_on_path():
        return sorted({module.name for module in pkgutil.iter_modules(_parts(namespace))})


def _parts(namespace: str) -> Sequence[str]:
    """The folders of a namespace package; nothing is imported to find them."""
    importlib.invalidate_caches()  # a file may have been written since its folder was looked at
    try:
        found = find_spec(namespace)
    except ValueError:  # a module that was made by hand
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
