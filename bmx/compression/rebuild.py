"""Builds the architecture of a compressed model again, step by step.

What repeats a kind of step is found by the name of its file, not listed: ``step_KIND.py`` in the folder of one of bmx's
own methods, or ``KIND.py`` in a namespace package ``bmx_steps`` that another package has a part of. Each has a function
``rebuild(net, step)``. A name is enough to find one, so a model file is read without the method that compressed it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from torch import nn

from bmx.compression.recipe import Step
from bmx.errors import UsageError
from bmx.targets.brought import brought

NAMESPACE = "bmx_steps"


def rebuild(net: nn.Module, recipe: Sequence[Step], source: Path | None = None) -> nn.Module:
    """The architecture that ``recipe`` makes of ``net``, which is changed in place; its weights mean nothing yet.

    Args:
        net: the model as its configuration builds it; may be on the meta device.
        recipe: the steps, in the order they were made.
        source: the file that the recipe was read from; None where it has been judged, or is the user's own.

    Raises:
        UsageError: a kind of step that nothing here knows, or whose module is not to be imported for that file.
    """
    for step in recipe:
        net = _repeating(str(step.get("kind")), source)(net, step)
    return net


def _repeating(kind: str, source: Path | None) -> Callable[[nn.Module, Step], nn.Module]:
    module = _own(kind) or brought(NAMESPACE, kind, source)
    where = str(source) if source is not None else "the model file"
    if module is None:
        fix = f"install what brings {NAMESPACE}/{kind}.py, or use the bmx that wrote the file, or a newer one"
        raise UsageError(f"a model with an unknown compression {kind!r}", where, fix)
    repeat: Callable[[nn.Module, Step], nn.Module] | None = getattr(module, "rebuild", None)
    if repeat is None:
        raise UsageError(f"{module.__name__} cannot repeat a step", where, "write its rebuild(net, step) -> net")
    return repeat


def _own(kind: str) -> Any:
    """The module of one of bmx's own methods; no other method is imported to find it."""
    package = __name__.rpartition(".")[0]
    for folder in import_module(package).__path__:
        for method in pkgutil.iter_modules([folder]):
            name = f"{package}.{method.name}.step_{kind}"
            if method.ispkg and kind.isidentifier() and PathFinder.find_spec(name, [str(Path(folder) / method.name)]):
                return import_module(name)
    return None
