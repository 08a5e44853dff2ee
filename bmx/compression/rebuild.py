"""Rebuilds the architecture of a compressed model from its recipe.

The module for a kind of step is found by its file name: ``step_KIND.py`` in the folder of one of bmx's own methods, or
``KIND.py`` in the namespace package ``bmx_steps``, to which other packages can contribute. Each has a function
``rebuild(net, step)``. So a model file is loaded without importing the method that compressed it.
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
    """Applies ``recipe`` to ``net``, in place, and returns the compressed architecture; its weights are not loaded yet.

    Args:
        net: the model as its configuration builds it; may be on the meta device.
        recipe: the steps, in order.
        source: the file that the recipe was read from; None where it is already trusted, or is the user's own.

    Raises:
        UsageError: an unknown kind of step, or one whose module must not be imported for that file.
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
