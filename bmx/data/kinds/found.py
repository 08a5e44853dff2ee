"""Registry of the kinds of data, discovered by file name.

Those of bmx are modules next to this one; other packages contribute theirs to the namespace package ``bmx_kinds``. A
name is enough to find one, so a checkpoint is loaded, and a sweep's worker runs, without importing the data set that
the kind came with.
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
    """The kind of data called ``name``, or None if no package has it.

    Args:
        name: as in ``DataSpec.kind``.
        source: the run directory or file that the name comes from; None for the user's own code.

    Raises:
        UsageError: its module must not be imported for that source, fails to import, or has no kind.
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
        UsageError: no package has it, or it must not be imported for that file.
    """
    found = kind_named(str(name), source)
    if found is None:
        what = f"the model is for data of the kind {str(name)[:40]!r}; known are {', '.join(names())}"
        fix = f"install what brings {NAMESPACE}/{str(name)[:40]}.py, or go to the folder that holds {NAMESPACE}"
        raise UsageError(what, str(source), fix)
    return found


def names() -> list[str]:
    """The names of all kinds, without importing those of other packages."""
    return [*_own(), *(name for name in names_in(NAMESPACE) if name not in _own())]


@cache
def _own() -> dict[str, Kind]:
    package = __name__.rpartition(".")[0]
    modules = pkgutil.iter_modules(import_module(package).__path__)
    kinds = {m.name: getattr(import_module(f"{package}.{m.name}"), "KIND", None) for m in modules}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, Kind)}
