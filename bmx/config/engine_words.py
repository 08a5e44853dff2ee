"""The words of ``engines=``: torch's own ways to compute a model, and those that formats bring."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bmx.config.formats import Engine, formats

TORCH: Mapping[str, str] = MappingProxyType({"eager": "", "compile": "torch.compile"})
"""torch as it is, and compiled: each with what to say of it."""


def of_formats() -> dict[str, tuple[str, Engine]]:
    """The engines of formats by their word, each with the name of its format."""
    found = ((word, (name, engine)) for name, row in formats().items() for word, engine in row.engines.items())
    return {word: owned for word, owned in found if word not in TORCH}


def engine_words() -> dict[str, str]:
    """Every word, with what to say of it; empty where the word says it."""
    return {**TORCH, **{word: engine.help for word, (_, engine) in of_formats().items()}}


def calibrated() -> set[str]:
    """The words of engines that look at real inputs before they compute."""
    return {word for word, (_, engine) in of_formats().items() if engine.calibrated}
