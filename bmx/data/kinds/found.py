"""Which kinds of data there are: found by the name of their file, not listed.

Those of bmx lie beside this file; other packages bring theirs in a namespace package ``bmx_kinds``. A name is enough to
find one, so a checkpoint is loaded, and a sweep's worker runs, without the data set that the kind came with.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from bmx.data.kinds.kind import Kind
from bmx.errors import UsageError
from bmx.targets.brought import brought, names_in

NAMESPACE = "bmx_kinds"


def kind_named(name: str, source: Path | None = None) -> Kind | None:
    """The kind of data of a name, or None where nothing brings it.

    Args:
        name: as in ``DataSpec.kind``.
        source: the run directory or the file that names it; None where the user's own code does.

    Raises:
        UsageError: its module is not one to be imported for that source, fails, or holds no kind.
    """
    known = _own().get(name)
    if known is not None:
        return known
    module = brought(NAMESPACE, name, source)
    if module is None:
        return None
    found = getattr(module, "KIND", None)
    if not isinstance(found, Kind):
        fix = f"write KIND = {name.capitalize()}(), of a subclass of {Kind.__module__}.{Kind.__name__}"
        raise UsageError(f"{module.__name__} has no KIND", str(module.__file__), fix)
    return found


def kind_of_file(name: object, source: Path) -> Kind:
    """The kind of the data that a stored model was trained on.

    Raises:
        UsageError: nothing brings it, or it is not to be imported for that file.
    """
    found = kind_named(str(name), source)
    if found is None:
        what = f"the model is for data of the kind {str(name)[:40]!r}; known are {', '.join(names())}"
        fix = f"install what brings {NAMESPACE}/{str(name)[:40]}.py, or go to the folder that holds {NAMESPACE}"
        raise UsageError(what, str(source), fix)
    return found


def names() -> list[str]:
    """The names of all kinds; those of other packages are not imported for it."""
    return [*_own(), *(name for name in names_in(NAMESPACE) if name not in _own())]


@cache
def _own() -> dict[str, Kind]:
    package = __name__.rpartition(".")[0]
    modules = pkgutil.iter_modules(import_module(package).__path__)
    kinds = {m.name: getattr(import_module(f"{package}.{m.name}"), "KIND", None) for m in modules}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, Kind)}
