"""Options of ``engines=``: torch's own ways to run a model, and those of export formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bmx.config.formats import Engine, formats

TORCH: Mapping[str, str] = MappingProxyType({"eager": "", "compile": "torch.compile"})
"""Eager and compiled torch, each with its description."""


def of_formats() -> dict[str, tuple[str, Engine]]:
    """The engines of export formats by their option, each with the name of its format."""
    found = ((word, (name, engine)) for name, row in formats().items() for word, engine in row.engines.items())
    return {word: owned for word, owned in found if word not in TORCH}


def engine_words() -> dict[str, str]:
    """Every option with its description; empty where the name suffices."""
    return {**TORCH, **{word: engine.help for word, (_, engine) in of_formats().items()}}


def calibrated() -> set[str]:
    """The engines that calibrate on real inputs before they run."""
    return {word for word, (_, engine) in of_formats().items() if engine.calibrated}
