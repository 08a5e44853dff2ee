"""Channel-tracing rules of layers and matrix products: how their input and output channels are coupled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bmx.compression.prune_structured.channel_trace import ChannelTrace, tensors_in, varies

MIXED = "all its channels are read together"


def unknown(trace: ChannelTrace, name: str, given: Any, returned: Any) -> None:
    """Records an operation without a rule: its input channels stay."""
    for value in tensors_in(given):
        if trace.owns(value):
            trace.raw.add(id(value))
        else:
            trace.fix(trace.of(value), f"bmx knows no rule for {name or 'an operation'} on channels")
    forget(trace, returned)


def forget(trace: ChannelTrace, returned: Any) -> None:
    """Records that the result of an operation carries no channels."""
    for value in tensors_in(returned):
        trace.put(value, None)


def _layer(args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(("input", "weight", "bias"), args, strict=False)), **kwargs}


def _repeats(labels: Tensor) -> bool:
    """Whether a channel occurs twice along the last dimension."""
    row = labels.flatten(0, -2)[0]
    return len(row.unique()) < len(row)


def _read(trace: ChannelTrace, labels: Tensor, dim: int, columns: Tensor) -> None:
    """Ties the channels along a dimension to the weight columns that read them, the same at every position."""
    trace.tie(labels.movedim(dim, -1), columns)


def _added(trace: ChannelTrace, made: Tensor, bias: Tensor | None) -> None:
    if bias is not None and trace.owns(bias):
        trace.tie(made, trace.span(bias, 0, True))
    elif bias is not None:
        trace.fix(made, "its bias is computed")


def linear(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    values = _layer(args, kwargs)
    weight, labels = values["weight"], trace.of(values["input"])
    if not trace.owns(weight):
        unknown(trace, "a layer with computed weights", [args, kwargs], returned)
        return
    columns = trace.span(weight, 1, False)
    if labels is not None and varies(labels, *range(labels.ndim - 1)) and _repeats(labels):
        # Applied along positions: its output still belongs to the same channel.
        trace.tie(labels, labels[..., :1])
        trace.put(returned, labels[..., :1].expand(returned.shape))
        return
    if labels is not None:
        _read(trace, labels, -1, columns)
    else:
        trace.fix(columns, "it reads the input of the net")
    made = trace.span(weight, 0, True)
    _added(trace, made, values.get("bias"))
    trace.put(returned, made.expand(returned.shape))


def convolution(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    _convolve(trace, {**dict(zip(names, args, strict=False)), **kwargs}, returned, transposed=False)


def transposed(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    names = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    _convolve(trace, {**dict(zip(names, args, strict=False)), **kwargs}, returned, transposed=True)


def _convolve(trace: ChannelTrace, values: dict[str, Any], returned: Any, transposed: bool) -> None:
    weight, labels, groups = values["weight"], trace.of(values["input"]), int(values.get("groups", 1))
    if not trace.owns(weight):
        unknown(trace, "a layer with computed weights", list(values.values()), returned)
        return
    inputs = weight.shape[0] if transposed else weight.shape[1] * groups
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    at = returned.ndim - (weight.ndim - 2) - 1
    if groups == 1:
        read, made = trace.span(weight, int(not transposed), False), trace.span(weight, int(transposed), True)
    elif transposed:
        # (I, O/g, ...): inputs count along the first axis, in g blocks; each block has the same O/g outputs.
        read = trace.span(weight, 0, False)
        inner = trace.span(weight, 1, True)
        made = inner.repeat(groups)
        trace.tie(read.view(groups, -1), read.view(groups, -1)[:1])
        if inputs == groups:  # depthwise: an input channel is removed together with its outputs
            trace.fix(inner, "its outputs belong to one channel")
            made = read.repeat_interleave(outputs // groups)
    else:
        made = trace.span(weight, 0, True)
        inner = trace.span(weight, 1, False)
        read = inner.repeat(groups)
        if inputs == groups:
            trace.fix(inner, MIXED)
            read = made.view(groups, -1)[:, 0]
            trace.tie(made.view(groups, -1), read[:, None])
        else:
            trace.tie(made.view(groups, -1), made.view(groups, -1)[:1])
    if labels is not None:
        _read(trace, labels, at, read)
    else:
        trace.fix(read, "it reads the input of the net")
    _added(trace, made, values.get("bias"))
    trace.put(returned, made.view(-1, *[1] * (weight.ndim - 2)).expand(returned.shape))


def embedding(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    values = {**dict(zip(("input", "weight"), args, strict=False)), **kwargs}
    weight: Any = values["weight"]
    if not trace.owns(weight) or values.get("max_norm") is not None:
        unknown(trace, "such an embedding", [args, kwargs], returned)
        return
    result = next(tensors_in([returned]))
    trace.put(result, trace.span(weight, 1, True).expand(result.shape))


def recurrent(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    """Input channels of a recurrent layer may be removed; its outputs stay."""
    labels = trace.of(args[0])
    for weight in tensors_in([args[1:], kwargs]):
        if not trace.owns(weight):
            trace.fix(trace.of(weight), "a recurrent layer begins with it")
        elif labels is not None and trace.names[id(weight)].endswith(
            ("weight_ih", "weight_ih_l0", "weight_ih_l0_reverse")
        ):
            _read(trace, labels, -1, trace.span(weight, 1, False))
    forget(trace, returned)


# -- products --------------------------------------------------------------------------------------------------------


def attention(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    """softmax(q·kᵀ/√d)·v with q (…, T, d), k (…, S, d), v (…, S, e)."""
    values = {**dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)), **kwargs}
    q, k, v = (trace.of(values[name]) for name in ("query", "key", "value"))
    trace.fix(trace.of(values.get("attn_mask")), MIXED)
    if q is not None and k is not None and q.shape[:-2] == k.shape[:-2]:
        trace.tie(q, q[..., :1, :].expand(q.shape))
        trace.tie(k, q[..., :1, :].expand(k.shape))
        if values.get("scale") is None:
            trace.scaled.append(q[..., 0, :].flatten(0, -2).unique(dim=0))
    else:
        trace.fix(q, MIXED)
        trace.fix(k, MIXED)
    if v is not None:
        trace.tie(v, v[..., :1, :].expand(v.shape))
        trace.put(returned, v[..., :1, :].expand(returned.shape))


def matmul(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    one: Any = args[0]
    other: Any = args[1] if len(args) > 1 else kwargs.get("other", kwargs.get("mat2"))
    a, b = trace.of(one), trace.of(other)
    if one.ndim < 2 or other.ndim < 2:
        unknown(trace, "a product with a vector", [args, kwargs], returned)
        return
    in_a, in_b = (labels is not None and varies(labels, dim) for labels, dim in ((a, -1), (b, -2)))
    if in_a and in_b:
        assert a is not None and b is not None
        first = a[..., :1, :]
        trace.tie(a, first.expand(a.shape))
        left, right = torch.broadcast_tensors(first, b[..., :1].transpose(-1, -2))
        trace.tie(left, right)
        trace.tie(b, b[..., :1].expand(b.shape))
        trace.put(returned, None)
        return
    if in_a or in_b:
        trace.fix(a, MIXED)
        trace.fix(b, MIXED)
        trace.put(returned, None)
        return
    rows = None if a is None or not varies(a, -2) else a[..., :1]
    columns = None if b is None or not varies(b, -1) else b[..., :1, :]
    if rows is not None and columns is not None:
        trace.fix(a, MIXED)
        trace.fix(b, MIXED)
        trace.put(returned, None)
        return
    found = rows if rows is not None else columns
    if found is None and (a is not None or b is not None):
        found = b[..., :1, :1] if b is not None else a[..., :1, :1] if a is not None else None
    trace.put(returned, None if found is None else found.expand(returned.shape))
