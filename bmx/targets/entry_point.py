"""Finds a ``module:function``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def locate(target: str) -> Callable[..., Any]:
    """The function that ``module:function`` names; imports the module."""
    module, _, function = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
