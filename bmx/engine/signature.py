"""Checks the fields of a ``_target_`` node against the target's signature, before anything is called."""

from __future__ import annotations

import inspect
import logging
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError, did_you_mean
from bmx.targets.locating import find
from bmx.targets.standing import places_on_path

_SPECIAL = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def locate(target: str, where: str) -> Callable[..., Any]:
    """Imports the class or function a ``_target_`` names.

    Raises:
        UsageError: the module or the name in it does not exist, with the nearest names; the module cannot be imported,
            with its failing line; or Hydra blocks the target.
    """
    with places_on_path():
        found = find(target, f"{where}._target_")
    if not callable(found):
        raise UsageError(f"'{target}' is not a class or function", f"{where}._target_", "name something callable")
    _ask_hydra(target, where)
    return typing.cast(Callable[..., Any], found)


def _ask_hydra(target: str, where: str) -> None:
    """Checks a target against Hydra's blocklist, by Hydra's own lookup, without calling the target."""
    from hydra.utils import instantiate

    hydra_log = logging.getLogger("hydra.utils")
    level = hydra_log.level
    hydra_log.setLevel(logging.CRITICAL)  # it would log the same error first
    try:
        instantiate({"_target_": target, "_partial_": True})
    except Exception as error:
        fix = "name a class or function of your own that does what you want"
        what = f"'{target}' cannot be used: Hydra does not call it from a configuration"
        raise UsageError(what, f"{where}._target_", fix) from error
    finally:
        hydra_log.setLevel(level)


def accepts(function: Callable[..., Any], names: Iterable[str]) -> set[str]:
    """Those of ``names`` that are explicit parameters of the signature."""
    return set(names) & set(_signature(function).parameters)


def bind(node: DictConfig, where: str, supplied: Iterable[str] = ()) -> Callable[..., Any]:
    """Checks that the fields of ``node`` fit the signature of its ``_target_``; returns the target.

    Args:
        node: a configuration with ``_target_``.
        where: its key, for messages.
        supplied: names of arguments that bmx adds itself if the signature has them.

    Raises:
        UsageError: an unknown field (with the nearest names), a missing one, or a value of the wrong type.
    """
    target = OmegaConf.select(node, "_target_")
    if not target:
        raise UsageError(f"'{where}' names nothing to build", where, f"add {where}._target_=package.module.Name")
    found = locate(str(target), where)
    signature = _signature(found)
    own = {str(key) for key in node if key not in _SPECIAL}
    known = [name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in sorted(own):
        if name not in known and not takes_any:
            fix = did_you_mean(name, known) if known else "leave it out"
            raise UsageError(f"{target} has no field '{name}'", f"{where}.{name}", fix)
    missing = [
        name
        for name, p in signature.parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        if name not in own and name not in supplied and "_args_" not in node and not node.get("_partial_", False)
    ]
    if missing:
        listed = "[" in where  # items of a list cannot be added by an override
        fix = f"write {missing[0]}: beside its _target_" if listed else f"give it with +{where}.{missing[0]}=VALUE"
        raise UsageError(f"{target} needs '{missing[0]}'", where, fix)
    _check_types(found, node, own, where)
    if node.get("_recursive_", True):
        _bind_inner(OmegaConf.to_container(node, resolve=True), where)
    return found


def _bind_inner(value: Any, where: str) -> None:
    """Checks nested ``_target_`` nodes in a field, which Hydra would only resolve when the node is called."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, field in inner:
        at = f"{where}[{name}]" if isinstance(value, list) else f"{where}.{name}"
        if isinstance(field, dict) and "_target_" in field:
            bind(OmegaConf.create(field), at)
        else:
            _bind_inner(field, at)


def _check_types(found: Callable[..., Any], node: DictConfig, own: Iterable[str], where: str) -> None:
    try:
        hints = typing.get_type_hints(found.__init__ if inspect.isclass(found) else found)
    except Exception:
        hints = {}  # annotations that cannot be evaluated promise nothing
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, Mapping)
    defaults = {name: parameter.default for name, parameter in _signature(found).parameters.items()}
    for name in own:
        odd = _not_finite(plain[name])
        if odd is not None and _not_finite(defaults.get(name)) is None:
            what, value = f"{where}.{name} must be finite, got {plain[name]!r}", plain[name]
            raise UsageError(what, f"{where}.{name}={value}", f"give it a number such as {where}.{name}=0.1")
        if name in hints and not fits(plain[name], hints[name]):
            raise UsageError(
                f"{where}.{name} must be {_spell(hints[name])}, got {plain[name]!r}",
                f"{where}.{name}={plain[name]}",
                f"give it a value such as {where}.{name}={_example(hints[name])}",
            )


def _not_finite(value: Any) -> float | None:
    """The first nan or inf in a value, including nested lists and maps."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((odd for one in inner if (odd := _not_finite(one)) is not None), None)


def fits(value: Any, hint: Any) -> bool:
    """Whether a configured value is acceptable for an argument with this annotation; doubtful cases are."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if hint is type(None) or hint is None:
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (list, tuple):
        parts = [p for p in typing.get_args(hint) if p is not Ellipsis]
        return isinstance(value, list | tuple) and (not parts or all(any(fits(v, p) for p in parts) for v in value))
    return True


def _spell(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_spell(part) for part in typing.get_args(hint)))
    if origin is typing.Literal:
        return " or ".join(repr(v) for v in typing.get_args(hint))
    if origin in (list, tuple):
        return "a list"
    names = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "null"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _example(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _example(typing.get_args(hint)[0])
    if origin is typing.Literal:
        return str(typing.get_args(hint)[0])
    if origin in (list, tuple):
        return "[1,2]"
    return {int: "2", float: "0.1", str: "word", bool: "true"}.get(hint, "null")


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # written in C: its types cannot be checked
        return inspect.Signature([inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])
