"""Composes the configuration of another verb: `bmx distill teacher=vit` trains a teacher as `bmx train` would.

Composing belongs to the command line, which lies above; it hands itself in here.
"""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

Compose = Callable[[str, list[str]], DictConfig]

_compose: Compose | None = None


def provide(compose: Compose) -> None:
    """Tells how to compose a verb's configuration from words."""
    global _compose
    _compose = compose


def compose(verb: str, words: list[str]) -> DictConfig:
    """The configuration of ``bmx VERB words...``, named and checked.

    Raises:
        UsageError: for a word, key or value that does not exist or does not fit.
    """
    if _compose is None:
        raise RuntimeError("nothing composes configurations here: import bmx.cli.compose first")
    return _compose(verb, words)
