"""Discovers modules that describe themselves: bmx's own, and those of a namespace package that others contribute to."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bmx.errors import BmxError, UsageError

# The import path before the user's own folders joined it: no configuration names what would be found in those.
_IMPORT_PATH = frozenset(Path(place).resolve() for place in sys.path)


def modules(room: str, namespace: str, noun: str, subpackages: bool = False) -> Iterator[ModuleType]:
    """The modules of a package of bmx, then those of a namespace package, imported.

    Args:
        room: the package below ``bmx``, such as ``export.formats``.
        namespace: the namespace package, such as ``bmx_formats``.
        noun: what each of them is, for messages.
        subpackages: only the subpackages of ``room``, not its plain modules.

    Raises:
        UsageError: a module of the namespace package cannot be imported.
    """
    own = f"{__name__.partition('.')[0]}.{room}"
    for module in pkgutil.iter_modules(import_module(own).__path__):
        if module.ispkg or not subpackages:
            yield import_module(f"{own}.{module.name}")
    try:
        path = list(import_module(namespace).__path__)
    except ModuleNotFoundError:  # no other package provides any
        return
    for module in pkgutil.iter_modules([part for part in path if Path(part).parent.resolve() not in _joined()]):
        name = f"{namespace}.{module.name}"
        try:
            yield import_module(name)
        except BmxError:
            raise
        except Exception as error:
            what = f"this {noun} cannot be imported: {type(error).__name__}: {error}"
            raise UsageError(what, name, "mend it, or take its package away") from error


def _joined() -> set[Path]:
    return {Path(place).resolve() for place in sys.path} - _IMPORT_PATH
