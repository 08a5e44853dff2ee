"""Validates configurations that are passed from Python, with the same checks as on the command line."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bmx.config.schema import schema
from bmx.config.validation import Told, conform
from bmx.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")
Function = Callable[Concatenate[DictConfig, P], T]


def conformed(cfg: DictConfig, verb: str) -> DictConfig:
    """A validated copy of a configuration, with every value converted to its declared type.

    Args:
        cfg: the configuration of a verb, perhaps changed by hand.
        verb: its verb.

    Raises:
        UsageError: an unknown key, a missing value, or a value of the wrong type.
    """
    cfg = copy.deepcopy(cfg)
    missing = _missing(cfg)
    if missing:
        raise UsageError(f"{missing[0]} has no value", f"cfg.{missing[0]}", f"write cfg.{missing[0]} = VALUE")
    try:
        conform(cfg, schema(verb), Told(lambda key: f"cfg.{key}"))
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or "")
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"{key}: {first}" if key else first, f"cfg.{key}", "give it a value that fits") from error
    return cfg


def _missing(cfg: DictConfig) -> list[str]:
    """The keys without a value; OmegaConf's own function fails where another key refers to one of them."""

    def walk(plain: Any, key: str) -> Iterator[str]:
        if plain == "???":
            yield key
        elif isinstance(plain, dict):
            for name, inner in plain.items():
                yield from walk(inner, f"{key}.{name}" if key else str(name))
        elif isinstance(plain, list):
            for at, inner in enumerate(plain):
                yield from walk(inner, f"{key}[{at}]")

    return sorted(walk(OmegaConf.to_container(cfg, resolve=False), ""))


def conforming(verb: str) -> Callable[[Function[P, T]], Function[P, T]]:
    """Decorator: replaces the first argument of a verb's function, its configuration, by its ``conformed`` copy."""

    def decorate(function: Function[P, T]) -> Function[P, T]:
        @wraps(function)
        def checked(cfg: DictConfig, *args: P.args, **kwargs: P.kwargs) -> T:
            return function(conformed(cfg, verb), *args, **kwargs)

        return cast(Function[P, T], checked)

    return decorate
