"""Removes channels from a net, or sets them to zero, given their indices in each tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from bmx.compression.prune_structured.channel_groups import Group, Groups

Gone = dict[tuple[str, int], Tensor]
"""Indices to remove, ascending, by tensor name and axis."""


@dataclass(frozen=True)
class Removal:
    """Channels to remove.

    Attributes:
        made: indices of tensors that output them.
        read: indices of tensors that read them.
        heads: for attention modules by path, how many heads stay.
    """

    made: Gone
    read: Gone
    heads: Mapping[str, int]

    @property
    def all(self) -> Gone:
        """``made`` and ``read`` merged; a tensor may be in both along one axis."""
        return _merged([*self.made.items(), *self.read.items()])


def removal(chosen: Iterable[tuple[Group, Sequence[int]]], heads: Mapping[str, int]) -> Removal:
    """Collects the indices to remove, of all tensors, for the chosen channels of each group."""
    made: list[tuple[tuple[str, int], Tensor]] = []
    read: list[tuple[tuple[str, int], Tensor]] = []
    for group, numbers in chosen:
        for number in numbers:
            for each, indices in group.classes[number].items():
                (made if each.makes else read).append(((each.tensor, each.axis), indices))
    return Removal(_merged(made), _merged(read), heads)


def _merged(parts: Iterable[tuple[tuple[str, int], Tensor]]) -> Gone:
    together: dict[tuple[str, int], list[Tensor]] = {}
    for key, indices in parts:
        together.setdefault(key, []).append(indices)
    return {key: torch.cat(found).unique() for key, found in together.items()}


def take_out(net: nn.Module, gone: Removal, groups: Groups) -> None:
    """Removes channels from ``net``, in place; shared tensors stay shared.

    Args:
        net: the net that ``groups`` were found in, or a copy of it; may be on the meta device.
        gone: the channels to remove.
        groups: all groups of the net, for the queries of attention, whose softmax temperature is preserved.
    """
    _keep_temperature(net, gone, groups)
    tensors = _tensors(net)
    owners: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        owners.setdefault(id(tensor), []).append(name)
    smaller: dict[str, Tensor] = {}
    for (name, axis), indices in gone.all.items():
        value = smaller.get(name, tensors[name].detach())
        stay = torch.ones(value.shape[axis], dtype=torch.bool)
        stay[indices] = False
        smaller[name] = value.index_select(axis, stay.nonzero().flatten().to(value.device)).contiguous()
    old_groups = {path: module.groups for path, module in net.named_modules() if isinstance(module, _CONVOLUTIONS)}
    for name, value in smaller.items():
        was = tensors[name]
        now = nn.Parameter(value, was.requires_grad) if isinstance(was, nn.Parameter) else value
        for owner in owners[id(was)]:
            path, _, own = owner.rpartition(".")
            setattr(net.get_submodule(path), own, now)
    for path, module in net.named_modules():
        _fit_fields(module, old_groups.get(path))
    for path, left in gone.heads.items():
        module = net.get_submodule(path)
        setattr(module, heads_field(module) or "heads", left)


def silenced(net: nn.Module, gone: Gone, noise: bool = False) -> None:
    """Sets the weights of channels to zero, or to noise large enough to change the output if read, in place."""
    tensors = _tensors(net)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for (name, axis), indices in gone.items():
            part = tensors[name].index_select(axis, indices)
            new = _noise(part, generator) if noise else torch.zeros_like(part)
            tensors[name].index_copy_(axis, indices, new.abs() if name.endswith("running_var") else new)


def heads_field(module: nn.Module) -> str | None:
    """Name of the field of an attention module that holds its number of heads."""
    for name in ("heads", "num_heads", "n_heads", "n_head", "nhead"):
        value = getattr(module, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return name
    return None


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.dtype) * (1 + like.abs().mean())


_CONVOLUTIONS = nn.modules.conv._ConvNd
_NORMS = (nn.modules.batchnorm._NormBase,)


def _fit_fields(module: nn.Module, groups: int | None) -> None:
    """Updates the fields that hold a layer's size, such as ``in_features``, to its tensors."""
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _CONVOLUTIONS):
        assert groups is not None
        first, second = module.weight.shape[:2]
        each_alone = second == 1 and groups > 1 and not module.transposed
        if each_alone:
            per_channel = max(1, module.out_channels // groups)
            module.groups = first // per_channel
        elif module.transposed and groups > 1 and module.in_channels == groups:
            module.groups = first
        module.in_channels = first if module.transposed else second * module.groups
        module.out_channels = second * module.groups if module.transposed else first
    elif isinstance(module, _NORMS):
        held = weight if weight is not None else module.running_mean
        if held is not None:
            module.num_features = len(held)
    elif isinstance(module, nn.GroupNorm) and weight is not None:
        if module.num_groups == module.num_channels:
            module.num_groups = len(weight)
        module.num_channels = len(weight)
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        module.embedding_dim = module.weight.shape[1]
    elif isinstance(module, nn.PReLU) and weight is not None:
        module.num_parameters = len(weight)
    elif isinstance(module, nn.RNNBase):
        module.input_size = cast(Tensor, module.weight_ih_l0).shape[1]
    elif isinstance(module, nn.RNNCellBase):
        module.input_size = module.weight_ih.shape[1]


def _keep_temperature(net: nn.Module, gone: Removal, groups: Groups) -> None:
    """Scales the queries of narrower heads, whose products would be divided by a smaller root than before."""
    tensors = _tensors(net)
    for name, rows in groups.queries:
        away = gone.made.get((name, 0))
        if away is None:
            continue
        stay = ~torch.isin(rows, away)
        for row, here in zip(rows, stay, strict=True):
            left = int(here.sum())
            if 0 < left < len(row):
                with torch.no_grad():
                    for each in (name, _bias_of(name, tensors)):
                        if each is not None and not tensors[each].is_meta:
                            tensors[each][row[here]] *= math.sqrt(left / len(row))


def _bias_of(weight: str, tensors: Mapping[str, Tensor]) -> str | None:
    name = f"{weight.removesuffix('weight')}bias"
    return name if weight.endswith("weight") and name in tensors else None


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    return {**dict(net.named_parameters(remove_duplicate=False)), **dict(net.named_buffers(remove_duplicate=False))}


def largest_difference(net: nn.Module, other: nn.Module, inputs: Tensor) -> float:
    """Largest difference of two nets' outputs, as a fraction of the largest output of the second."""
    with torch.no_grad():
        one, two = net(inputs), other(inputs)
    if one.shape != two.shape:
        return math.inf
    return float((one - two).abs().max() / two.abs().max().clamp(min=1e-12))
