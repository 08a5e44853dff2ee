"""Packages that only some exports need, and what to say where one is missing."""

from __future__ import annotations

import importlib.util

from bmx.errors import UsageError

EXTRAS = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "safetensors": ("safetensors",),
}


def need(extra: str, where: str) -> None:
    """Makes sure that the packages of one of bmx's extras are installed, without importing them.

    Raises:
        UsageError: one is not; it is named, with the command that installs it.
    """
    missing = [package for package in EXTRAS[extra] if importlib.util.find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(f"{' and '.join(missing)} {verb} not installed", where, f"pip install 'bmx[{extra}]'")
