"""Channel-tracing rules of torch operations: how each one couples the channels that pass through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.prune_structured import channel_layers as layers
from bmx.compression.prune_structured.channel_layers import MIXED, forget, unknown
from bmx.compression.prune_structured.channel_shapes import SHAPES, follow_shape
from bmx.compression.prune_structured.channel_trace import FIXED, ChannelTrace, compact, tensors_in, varies
from bmx.measure.meta_copy import no_fast_path

# Elementwise: each channel is mapped to itself.
_SAME = {
    *("relu", "relu6", "gelu", "silu", "mish", "tanh", "sigmoid", "hardswish", "hardsigmoid", "hardtanh", "elu"),
    *("celu", "selu", "leaky_relu", "rrelu", "softplus", "softsign", "logsigmoid", "tanhshrink", "hardshrink"),
    *("softshrink", "threshold", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"),
    *("identity", "feature_alpha_dropout", "abs", "neg", "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt"),
    *("square", "erf", "sin", "cos", "sign", "round", "floor", "ceil", "clamp", "clamp_min", "clamp_max", "nan_to_num"),
    *("reciprocal", "stochastic_depth", "relu_squared", "atan", "sinh", "cosh", "float", "double", "half", "bfloat16"),
    *("to", "type", "type_as", "detach", "clone", "contiguous", "requires_grad", "positive"),
}  # fmt: skip
_TOGETHER = {
    *("add", "radd", "iadd", "sub", "subtract", "rsub", "isub", "mul", "multiply", "rmul", "imul", "div", "divide"),
    *("truediv", "rtruediv", "itruediv", "maximum", "minimum", "where", "lerp", "addcmul", "addcdiv", "pow", "rpow"),
    *("ipow", "masked_fill", "copy", "rdiv", "true_divide", "fmax", "fmin", "hypot", "atan2", "remainder"),
}  # fmt: skip
_POOLED = {
    *(f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)),
    *(f"max_pool{n}d_with_indices" for n in (1, 2, 3)),
    *("interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "grid_sample"),
}  # fmt: skip
_REDUCED = {
    *("mean", "sum", "amax", "amin", "max", "min", "std", "var", "norm", "logsumexp", "prod", "median", "cumsum"),
    *("softmax", "log_softmax", "softmin", "var_mean", "std_mean", "normalize", "nansum", "nanmean", "any", "all"),
}  # fmt: skip
_CONVOLUTIONS = {f"conv{n}d" for n in (1, 2, 3)}
_TRANSPOSED = {f"conv_transpose{n}d" for n in (1, 2, 3)}
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_CELLS = {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}


def trace_channels(net: nn.Module, inputs: Tensor, keep: Sequence[str] = ()) -> ChannelTrace:
    """Runs ``net`` on ``inputs`` (N, ...) and traces its channels.

    Args:
        net: in eval mode; not modified.
        inputs: two samples or more, so that no dimension of one is taken for a channel.
        keep: names of parameters whose outputs stay.
    """
    trace = ChannelTrace(net, follow)
    with torch.no_grad(), no_fast_path(), trace:
        returned = net(inputs)
    for value in tensors_in([returned]):
        trace.fix(trace.of(value), "its outputs are those of the net")
    for name, parameter in net.named_parameters(remove_duplicate=False):
        if name in keep:
            for span in list(trace.spans.values()):
                if span.tensor is parameter and span.makes:
                    trace.fix(span.labels(), "named in skip")
    return trace


def follow(trace: ChannelTrace, func: Any, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    """Records in ``trace`` the effect of one executed operation on the channels of its arguments."""
    name = getattr(func, "__name__", "").strip("_")
    if name == "get":
        name = str(getattr(getattr(func, "__self__", None), "__name__", ""))
        if not isinstance(returned, Tensor) or name in ("grad", "data"):
            return
    rule = _RULES.get(name)
    if rule is not None:
        rule(trace, args, kwargs, returned)
    elif name in SHAPES:
        follow_shape(trace, func, name, args, kwargs, returned)
    elif any(True for _ in tensors_in([returned])):
        unknown(trace, name, [args, kwargs], returned)


# -- elementwise operations ------------------------------------------------------------------------------------------


def _same(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    given = args[0] if args else kwargs.get("input")
    trace.put(returned, trace.of(given))


def _together(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    given = [labels for value in tensors_in([args, kwargs]) if (labels := trace.of(value)) is not None]
    if not given:
        return
    joined = given[0]
    for labels in given[1:]:
        joined = _joined(trace, joined, labels)
    trace.put(returned, joined.expand(returned.shape))


def _joined(trace: ChannelTrace, one: Tensor, other: Tensor) -> Tensor:
    """Ties channels that are combined elementwise; a single channel broadcast over several stays."""
    shape = torch.broadcast_shapes(one.shape, other.shape)
    a, b = one.expand(shape), other.expand(shape)
    if _spread(one, b):
        trace.fix(one, "it is one for all channels of another layer")
        return b if not _spread(other, a) else _mixed(trace, other, shape)
    if _spread(other, a):
        trace.fix(other, "it is one for all channels of another layer")
        return a
    trace.tie(a, b)
    return b if (compact(a)[0] == FIXED).all() else a


def _spread(small: Tensor, large: Tensor) -> bool:
    """Whether ``small`` is one channel, broadcast along a dimension in which ``large`` has several."""
    if varies(small, *range(small.ndim)):
        return False
    padded = small.view([1] * (large.ndim - small.ndim) + list(small.shape))
    for dim, size in enumerate(padded.shape):
        if size == 1 and large.shape[dim] > 1 and varies(large, dim):
            return bool((compact(small)[0] != FIXED).any())
    return False


def _mixed(trace: ChannelTrace, labels: Tensor, shape: torch.Size) -> Tensor:
    trace.fix(labels, MIXED)
    return torch.full((), FIXED).expand(shape)


# -- reductions and pooling ------------------------------------------------------------------------------------------


def _pooled(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    labels = trace.of(args[0] if args else kwargs["input"])
    assert labels is not None
    result = next(tensors_in([returned]))
    at = tuple(range(2, labels.ndim)) if labels.ndim == result.ndim and labels.ndim > 2 else (labels.ndim - 1,)
    first = labels
    for dim in at:
        first = first.narrow(dim, 0, 1)
    if varies(labels, *at):
        trace.fix(labels, MIXED)
    forget(trace, returned)
    trace.put(result, first.expand(result.shape))


def _reduced(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    if len(args) > 1 and isinstance(args[1], Tensor):  # the larger of two
        _together(trace, args, kwargs, returned)
        return
    given = args[0] if args else kwargs["input"]
    labels = trace.of(given)
    if labels is None:
        return
    results = list(tensors_in([returned]))
    if not results:
        return
    dims = _dims(args[1:], kwargs, labels.ndim)
    first = labels
    for dim in dims:
        first = first.narrow(dim, 0, 1)
    if varies(labels, *dims):
        trace.fix(labels, MIXED)
    for result in results:
        if result.shape == labels.shape:
            trace.put(result, labels)
        elif result.numel() == first.numel():
            trace.put(result, first.reshape(result.shape))
        else:
            trace.fix(labels, MIXED)
            trace.put(result, None)


def _dims(args: Sequence[Any], kwargs: dict[str, Any], ndim: int) -> list[int]:
    found = kwargs.get("dim", kwargs.get("axis", next((a for a in args if isinstance(a, int | tuple | list)), None)))
    if found is None or isinstance(found, bool):
        return list(range(ndim))
    return [dim % ndim for dim in ([found] if isinstance(found, int) else list(found))]


def _softmax(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    _reduced(trace, args, kwargs if "dim" in kwargs or len(args) > 1 else {**kwargs, "dim": 1}, returned)


def _normalize(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    dim = kwargs.get("dim", args[2] if len(args) > 2 else 1)
    _reduced(trace, args[:1], {"dim": dim, **({"input": kwargs["input"]} if "input" in kwargs else {})}, returned)


# -- normalisation ---------------------------------------------------------------------------------------------------


def _by_channel(trace: ChannelTrace, given: Any, others: Sequence[Any], returned: Any) -> None:
    """Ties the parameters or buffers of a normalisation, one value per channel, to the channels."""
    labels = trace.of(given)
    assert labels is not None
    for value in others:
        if trace.owns(value):
            shape = [1, -1, *[1] * (labels.ndim - 2)]
            trace.tie(labels, trace.span(value, 0, True).view(shape).expand(labels.shape))
        elif isinstance(value, Tensor):
            trace.fix(labels, "its normalisation is computed")
    trace.put(returned, labels)


def _batch_norm(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    names = ("input", "running_mean", "running_var", "weight", "bias")
    values = {**dict(zip(names, args, strict=False)), **kwargs}
    _by_channel(trace, values["input"], [values.get(name) for name in names[1:]], returned)


def _layer_norm(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    values = {**dict(zip(("input", "normalized_shape", "weight", "bias"), args, strict=False)), **kwargs}
    labels = trace.of(values["input"])
    assert labels is not None
    if varies(labels, *range(-len(values["normalized_shape"]), 0)):
        trace.fix(labels, "a layer normalisation reads all its channels together")
    trace.put(returned, labels)


def _group_norm(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    values = {**dict(zip(("input", "num_groups", "weight", "bias"), args, strict=False)), **kwargs}
    labels = trace.of(values["input"])
    assert labels is not None
    if values["num_groups"] != labels.shape[1]:
        trace.fix(labels, "a group normalisation reads several channels together")
    _by_channel(trace, values["input"], [values.get("weight"), values.get("bias")], returned)


def _prelu(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    _by_channel(trace, args[0], [weight] if weight.numel() > 1 else [], returned)


# -- other operations -----------------------------------------------------------------------------------------------


def _glu(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    dim = int(kwargs.get("dim", args[1] if len(args) > 1 else -1))
    labels = trace.of(args[0])
    assert labels is not None
    halves = labels.chunk(2, dim)
    trace.tie(*halves)
    trace.put(returned, halves[0])


def _setitem(trace: ChannelTrace, args: Sequence[Any], kwargs: dict[str, Any], returned: Any) -> None:
    base, value = trace.of(args[0]), trace.of(args[2]) if isinstance(args[2], Tensor) else None
    if base is None and value is None:
        return
    into = torch.zeros(args[0].shape, dtype=torch.long) if base is None else base.clone()
    into[args[1]] = FIXED if value is None else value
    trace.put(args[0], into)


Rule = Callable[[ChannelTrace, Sequence[Any], dict[str, Any], Any], None]
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_TOGETHER, _together),
    **dict.fromkeys(_POOLED, _pooled),
    **dict.fromkeys(_REDUCED, _reduced),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), _softmax),
    "normalize": _normalize,
    **dict.fromkeys(_CONVOLUTIONS, layers.convolution),
    **dict.fromkeys(_TRANSPOSED, layers.transposed),
    **dict.fromkeys(_RECURRENT | _CELLS, layers.recurrent),
    **dict.fromkeys(("matmul", "rmatmul", "bmm", "mm"), layers.matmul),
    **dict.fromkeys(("embedding", "embedding_bag"), layers.embedding),
    "linear": layers.linear,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "prelu": _prelu,
    "glu": _glu,
    "setitem": _setitem,
    "scaled_dot_product_attention": layers.attention,
}
