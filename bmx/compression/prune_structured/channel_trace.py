"""Traces every channel of a net through one forward pass: which layers output, transform, couple and read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

FIXED = 0
"""Label of values that belong to no channel, and of channels that must stay."""

# Largest parameter outside any layer that is traced element by element; the channels of a larger one stay.
_MOST = 2_000_000


@dataclass(frozen=True)
class Span:
    """The labels of one parameter or buffer: one for each index of an axis, or one for each element.

    Attributes:
        tensor: the parameter or buffer.
        start: the first label; they are consecutive.
        axis: the dimension that they index; None where each element has its own.
        makes: whether the index is an output of the layer, rather than an input.
    """

    tensor: Tensor
    start: int
    axis: int | None
    makes: bool

    @property
    def count(self) -> int:
        return self.tensor.numel() if self.axis is None else self.tensor.shape[self.axis]

    def labels(self) -> Tensor:
        """(size of the axis,), or the shape of the tensor."""
        flat = torch.arange(self.start, self.start + self.count)
        return flat.view(self.tensor.shape) if self.axis is None else flat


@dataclass(frozen=True)
class Split:
    """A dimension of channels that the net's code splits into equal parts.

    Attributes:
        labels: (R, a, b, ...), for each of R positions the channels as the code arranges them.
        axis: which of a, b, ... becomes shorter in pruning, where that is known; else None.
    """

    labels: Tensor
    axis: int | None


Follow = Callable[["ChannelTrace", Any, Sequence[Any], dict[str, Any], Any], None]
"""Records the effect of one operation in a trace, given its function, arguments and result."""


class ChannelTrace(TorchFunctionMode):
    """Trace of the channels of one forward pass: labels that are coupled, that must stay, and that are split.

    Attributes:
        spans: the labels of parameters and buffers.
        same: pairs of labels (P, 2) that are coupled.
        fixed: labels that stay, each tensor with the reason.
        splits: dimensions that are split into equal parts.
        names: of the parameters and buffers, by identity; the first where one has several.
        raw: identities of parameters and buffers that were read otherwise than as the weight of a layer.
        scaled: for each product of queries and keys that is divided by the root of their width, the queries' labels
            (heads and positions, width).
    """

    def __init__(self, net: nn.Module, follow: Follow) -> None:
        super().__init__()
        self._follow = follow
        self.spans: dict[tuple[int, int | None, bool], Span] = {}
        self.same: list[Tensor] = []
        self.fixed: list[tuple[Tensor, str]] = []
        self.splits: list[Split] = []
        self.scaled: list[Tensor] = []
        self.raw: set[int] = set()
        self._count = FIXED + 1
        named = [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]
        self._known: dict[int, Tensor] = {id(tensor): tensor for _, tensor in named}
        self.names = {id(tensor): name for name, tensor in reversed(named)}
        self.names = {key: self.names[key] for key in self._known}
        self._labels: dict[int, tuple[Tensor, Tensor]] = {}  # the tensor is held too, so that its id is not reused

    @property
    def count(self) -> int:
        """Number of labels."""
        return self._count

    def owns(self, tensor: Any) -> bool:
        """Whether it is itself a parameter or a buffer of the net, not computed from one."""
        return isinstance(tensor, Tensor) and id(tensor) in self._known

    def span(self, tensor: Tensor, axis: int | None, makes: bool) -> Tensor:
        """The labels of an axis of a parameter or buffer, or of each of its elements."""
        axis = 0 if tensor.ndim == 1 else axis
        key = (id(tensor), axis, makes)
        if key not in self.spans:
            self.spans[key] = Span(tensor, self._count, axis, makes)
            self._count += self.spans[key].count
        return self.spans[key].labels()

    def of(self, value: Any) -> Tensor | None:
        """The labels of a tensor, one for each element; None if it carries no channels."""
        if not isinstance(value, Tensor):
            return None
        found = self._labels.get(id(value))
        if found is not None:
            return found[1]
        if not (self.owns(value) and value.is_floating_point() and value.ndim):
            return None
        self.raw.add(id(value))
        return (
            self.span(value, None, True)
            if value.numel() <= _MOST
            else torch.zeros((), dtype=torch.long).expand(value.shape)
        )

    def put(self, tensor: Tensor, labels: Tensor | None) -> None:
        """Sets the labels of a tensor; None removes them."""
        if labels is None:
            self._labels.pop(id(tensor), None)
        else:
            self._labels[id(tensor)] = (tensor, labels.expand(tensor.shape))

    def tie(self, one: Tensor, other: Tensor) -> None:
        """Couples channels, label by label."""
        pairs = torch.stack(compact(*torch.broadcast_tensors(one, other)), -1).reshape(-1, 2)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        if len(pairs):
            self.same.append(pairs.unique(dim=0))

    def fix(self, labels: Tensor | None, reason: str) -> None:
        """Marks channels as ones that must stay."""
        if labels is not None:
            found = compact(labels)[0].unique()
            if (found != FIXED).any():
                self.fixed.append((found, reason))

    def split(self, labels: Tensor, axis: int | None = None) -> None:
        """Records that the code splits channels: ``labels`` (R, a, b, ...), leading dimensions flattened to R."""
        if not varies(labels, *range(1, labels.ndim)):
            return
        flat = labels.flatten(1)
        if flat.shape[0]:
            rows = flat.unique(dim=0)
            self.splits.append(Split(rows.view(len(rows), *labels.shape[1:]), axis))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        followed = any(id(value) in self._labels or self.owns(value) for value in tensors_in([args, kwargs]))
        returned = func(*args, **kwargs)
        if followed:
            self._follow(self, func, args, kwargs, returned)
        return returned


def compact(*labels: Tensor) -> list[Tensor]:
    """The same labels without the dimensions along which they are broadcast; all of one shape."""
    found = list(labels)
    for dim in range(labels[0].ndim):
        if labels[0].shape[dim] > 1 and all(each.stride(dim) == 0 for each in labels):
            found = [each.narrow(dim, 0, 1) for each in found]
    return found


def varies(labels: Tensor, *dims: int) -> bool:
    """Whether labels differ along any of the dimensions."""
    (small,) = compact(labels)
    first = small
    for dim in dims:
        first = first.narrow(dim, 0, 1)
    return small.shape != first.shape and bool((small != first).any())


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in arbitrarily nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
