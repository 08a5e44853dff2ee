"""Resolves a ``module:function`` reference."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def locate(target: str) -> Callable[..., Any]:
    """Imports the module and returns the function that ``module:function`` names."""
    module, _, function = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
