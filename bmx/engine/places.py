"""Allowed ``_target_`` types by config group: required base classes, and the packages that are trusted for it."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType, MappingProxyType
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers.logger import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from bmx.data.arrays import Source
from bmx.data.augmentation import Augmentation
from bmx.distillation.method import Distillation
from bmx.metrics.metric import Metric
from bmx.optim.schedules import Schedule


@dataclass(frozen=True)
class Place:
    """A config group that takes a ``_target_``, with the type it requires.

    Attributes:
        group: its key.
        needs: the required type, for messages.
        bases: required base classes of a class, or return types of a function.
        packages: modules whose matching classes are known to be safe; a name that ends in a dot covers all below it.
        may_name_folder: whether its fields may hold a folder or an address; elsewhere that is rejected.
    """

    group: str
    needs: str
    bases: tuple[type, ...]
    packages: tuple[str, ...]
    may_name_folder: bool = False

    def fits(self, found: Any) -> bool:
        """Whether an object has the required type, as far as can be told without calling it."""
        if inspect.isclass(found):
            if self.group == "compression":
                return _is_method(found)
            return issubclass(found, self.bases) and not issubclass(found, _never())
        return self._returns(found)

    def _returns(self, found: Any) -> bool:
        """Whether a function is annotated to return the required type, and to take none as an argument."""
        if not isinstance(found, FunctionType) or found.__qualname__ != found.__name__:
            return False
        try:
            hints = typing.get_type_hints(found)
        except Exception:  # annotations that cannot be evaluated promise nothing
            return False
        made = hints.pop("return", None)
        takes = [hint for hint in hints.values() if inspect.isclass(hint) and issubclass(hint, self.bases)]
        return inspect.isclass(made) and issubclass(made, self.bases) and not takes

    def knows(self, found: Any) -> bool:
        """Whether an object is known to be safe here, by the module that defines it."""
        module = str(getattr(found, "__module__", ""))
        here = any(f"{module}.".startswith(p) if p.endswith(".") else module == p for p in self.packages)
        if not here or not self.fits(found):
            return _builds_torchvision(found) if self.group == "model" else False
        # A function of bmx's own is a target only if its name is public.
        return inspect.isclass(found) or not found.__name__.startswith("_")

    def may_import(self, module: str) -> bool:
        """Whether resolving a name may import this module."""
        names = [package.rstrip(".") for package in self.packages]
        return any(f"{name}.".startswith(f"{module}.") or f"{module}.".startswith(f"{name}.") for name in names)


def _is_method(found: type) -> bool:
    call = next((kind.__dict__["__call__"] for kind in found.__mro__ if "__call__" in kind.__dict__), None)
    return isinstance(call, FunctionType) and not issubclass(found, nn.Module)


@cache
def _never() -> tuple[type, ...]:
    """Module classes that are never allowed, since they execute code given as data."""
    return (torch.jit.ScriptModule, torch.fx.GraphModule)


def _builds_torchvision(found: Any) -> bool:
    """Whether a function is a registered model builder of torchvision."""
    if not str(getattr(found, "__module__", "")).startswith("torchvision.models."):
        return False
    registered = sys.modules.get("torchvision.models._api")
    return registered is not None and any(found is one for one in registered.BUILTIN_MODELS.values())


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        place.group: place
        for place in (
            Place(
                "model",
                "a class of torch.nn.Module",
                (nn.Module,),
                ("bmx.models.", "torch.nn.modules.", "torch.ao.nn.", "torchvision.models.", "torchvision.ops."),
            ),
            Place("data", "a function that returns a bmx.data.arrays.Source", (Source,), ("bmx.data.",), True),
            Place("optim", "a class of torch.optim.Optimizer", (Optimizer,), ("torch.optim.", "bmx.optim.")),
            Place(
                "scheduler",
                "a class of bmx.optim.schedules.Schedule or of torch's LRScheduler",
                (Schedule, LRScheduler),
                ("bmx.optim.", "torch.optim.lr_scheduler"),
            ),
            Place("augmentation", "a class of bmx.data.augmentation.Augmentation", (Augmentation,), ("bmx.data.",)),
            Place("compression", "a method of bmx.compression", (), ("bmx.compression.",)),
            Place(
                "distillation",
                "a class of bmx.distillation.method.Distillation",
                (Distillation,),
                ("bmx.distillation.",),
            ),
            Place(
                "trainer.callbacks",
                "a class of Lightning's Callback",
                (Callback,),
                ("pytorch_lightning.callbacks.",),
            ),
            Place("metrics", "a class of bmx.metrics.metric.Metric", (Metric,), ("bmx.metrics.",)),
            Place("logger", "a function that returns a Lightning logger", (Logger,), ("bmx.engine.loggers",)),
        )
    }
)


def place_of(key: str) -> Place | None:
    """The group that a key lies in; None for keys whose values are never called."""
    return next((place for group, place in PLACES.items() if _within(key, group)), None)


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith((f"{group}.", f"{group}["))
