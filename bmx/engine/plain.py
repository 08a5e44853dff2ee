"""Checks that checkpoint contents load with ``torch.load(weights_only=True)``."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from typing import Any

import torch
from torch import Tensor, nn

_SCALARS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)


def not_plain(value: Any, path: str = "") -> tuple[str, type] | None:
    """Path and type of the first object in ``value`` that ``torch.load(weights_only=True)`` rejects.

    Args:
        value: nested containers.
        path: of ``value`` itself.
    """
    kind = type(value)
    if kind in _SCALARS or kind in (Tensor, nn.Parameter):
        return None
    if kind in (dict, OrderedDict, Counter, defaultdict):
        parts = [(f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
        parts += [(path, key) for key in value]
    elif kind in (list, tuple, set):
        parts = [(f"{path}[{number}]", part) for number, part in enumerate(value)]
    else:
        return path, kind
    return next((found for name, part in parts if (found := not_plain(part, name)) is not None), None)
