"""Channel-tracing rules of shape operations: labels move with the values, and splits of channels are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bmx.compression.prune_structured.channel_trace import FIXED, ChannelTrace, tensors_in, varies

SHAPES = {
    *("view", "reshape", "view_as", "reshape_as", "flatten", "unflatten", "permute", "transpose", "swapaxes", "t", "T"),
    *("swapdims", "movedim", "moveaxis", "mT", "H", "mH", "squeeze", "unsqueeze", "expand", "expand_as", "unbind"),
    *("broadcast_to", "broadcast_tensors", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit"),
    *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "select", "narrow", "getitem", "index_select"),
    *("roll", "flip", "fliplr", "flipud", "rot90", "repeat", "tile", "repeat_interleave", "pixel_shuffle", "diagonal"),
    *("pixel_unshuffle", "channel_shuffle", "pad", "unfold", "gather", "take_along_dim", "ravel", "squeeze_copy"),
}  # fmt: skip


def follow_shape(
    trace: ChannelTrace, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], returned: Any
) -> None:
    """Moves labels as ``func`` moved the values."""
    results = list(tensors_in([returned]))
    if name == "pad":
        _padded(trace, args, kwargs, returned)
        return
    given = [value for value in tensors_in([args, kwargs]) if value.is_floating_point()]
    labels = [trace.of(value) for value in given]
    if all(each is None for each in labels):
        return
    if name in ("cat", "concat", "concatenate"):
        _joined(trace, args, kwargs, returned)
        return
    stand_ins = {
        id(value): torch.full((), FIXED, dtype=torch.long).expand(value.shape) if each is None else each
        for value, each in zip(given, labels, strict=True)
    }
    try:
        moved = list(tensors_in([func(*_replaced(args, stand_ins), **_replaced(kwargs, stand_ins))]))
    except (RuntimeError, ValueError, TypeError, IndexError):
        moved = []
    if len(moved) != len(results) or any(m.shape != r.shape for m, r in zip(moved, results, strict=True)):
        for each in labels:
            trace.fix(each, f"bmx cannot follow {name} on channels")
        moved = [torch.full((), FIXED, dtype=torch.long).expand(result.shape) for result in results]
    for result, each in zip(results, moved, strict=True):
        trace.put(result, each)
    first = next(each for each in labels if each is not None)
    if name in ("chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "unbind"):
        if len(moved) > 1 and len({part.shape for part in moved}) == 1:
            trace.split(torch.stack(moved).flatten(1).unsqueeze(0), axis=1)
    elif name == "getitem":
        _sliced(trace, first, moved[0])
    elif name == "channel_shuffle":
        groups = int(args[1] if len(args) > 1 else kwargs["groups"])
        trace.split(first.movedim(1, -1).flatten(0, -2).unflatten(-1, (groups, -1)), axis=1)
    elif name in ("view", "reshape", "view_as", "reshape_as", "unflatten") and first.ndim and moved[0].ndim:
        _taken_apart(trace, first.shape, moved[0])


def _joined(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Tensor) -> None:
    """Concatenates labels; along broadcast dimensions only once."""
    parts, dim = args[0] if args else kwargs["tensors"], int(args[1] if len(args) > 1 else kwargs.get("dim", 0))
    labels = [labels for part in parts if (labels := _or_fixed(trace, part)).numel()]
    for other in range(returned.ndim):
        if other != dim % returned.ndim and all(each.stride(other) == 0 for each in labels):
            labels = [each.narrow(other, 0, 1) for each in labels]
    trace.put(returned, torch.cat(labels, dim))


def _or_fixed(trace: ChannelTrace, value: Tensor) -> Tensor:
    labels = trace.of(value)
    return torch.full((), FIXED, dtype=torch.long).expand(value.shape) if labels is None else labels


def _replaced(value: Any, stand_ins: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return stand_ins.get(id(value), value)
    if isinstance(value, dict):
        return {key: _replaced(item, stand_ins) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(_replaced(item, stand_ins) for item in value)
    return value


def _padded(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    """Padding along positions extends a channel; channels that consist of padding stay."""
    labels, given = trace.of(args[0]), args[1] if len(args) > 1 else kwargs["pad"]
    if labels is None:
        return
    found = labels
    for number in range(0, len(given), 2):
        dim = labels.ndim - 1 - number // 2
        if not (given[number] or given[number + 1]):
            continue
        if varies(found, dim):
            found = torch.nn.functional.pad(found, [0] * number + list(given[number : number + 2]), value=FIXED)
        else:
            size = [*found.shape]
            size[dim] += given[number] + given[number + 1]
            found = found.narrow(dim, 0, 1).expand(size)
    trace.put(returned, found if found.shape == returned.shape else None)
    if found.shape != returned.shape:
        trace.fix(labels, "bmx cannot follow its padding")


def _sliced(trace: ChannelTrace, labels: Tensor, part: Tensor) -> None:
    """Records a slice that is one of several equal parts of a dimension as a split into these parts."""
    if part.ndim != labels.ndim:
        return
    changed = [dim for dim in range(labels.ndim) if part.shape[dim] != labels.shape[dim]]
    if len(changed) != 1:
        return
    dim = changed[0]
    if not varies(labels, dim):
        return
    size, own = labels.shape[dim], part.shape[dim]
    if not own or size % own:
        return
    blocks = labels.movedim(dim, -1).flatten(0, -2).unflatten(-1, (-1, own))
    inner = part.movedim(dim, -1).flatten(0, -2)
    if any(torch.equal(inner, blocks[:, at]) for at in range(size // own)):
        trace.split(blocks, axis=1)


def _taken_apart(trace: ChannelTrace, before: Sequence[int], labels: Tensor) -> None:
    """Finds the dimensions of ``before`` that became several of ``labels``, and records those with channels."""
    after, i, j = labels.shape, 0, 0
    while i < len(before) and j < len(after):
        first_i, first_j = i, j
        size, new = before[i], after[j]
        i, j = i + 1, j + 1
        while size != new:
            if size < new and i < len(before):
                size, i = size * before[i], i + 1
            elif new < size and j < len(after):
                new, j = new * after[j], j + 1
            else:
                return
        parts = [dim for dim in range(first_j, j) if after[dim] > 1]
        whole = [dim for dim in range(first_i, i) if before[dim] > 1]
        if len(parts) > 1 and whole:
            others = [dim for dim in range(labels.ndim) if dim not in parts]
            moved = labels.permute(*others, *parts)
            trace.split(moved.reshape(-1, *[after[dim] for dim in parts]))
