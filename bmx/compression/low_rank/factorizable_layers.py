"""Finds the layers of a net that can be factored, and the reason for each that is skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bmx.compression.low_rank.factored import CONVOLUTIONS, Factored, matrix, reader, weights_of, writer
from bmx.errors import UsageError, did_you_mean
from bmx.measure.meta_copy import no_fast_path

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Site:
    """Calls and positions of a layer in the forward pass of one sample.

    Attributes:
        calls: number of calls.
        read: positions of its input, over all calls: 1 for a vector, else tokens or pixels.
        written: positions of its output.
        shape: of its first input, with the batch of one.
    """

    calls: int
    read: int
    written: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FactorizableLayer:
    """A layer that can be factored.

    Attributes:
        name: its path in the net.
        layer: linear, convolution, or already factored.
        rows: outputs.
        columns: inputs, times the kernel's size for a convolution.
        weights: its present number of weights.
        rank: the largest possible rank of its weight.
        site: its calls and positions.
    """

    name: str
    layer: nn.Module
    rows: int
    columns: int
    weights: int
    rank: int
    site: Site

    @property
    def channels_first(self) -> bool:
        """Whether the channels of its output come before the positions."""
        return isinstance(reader(self.layer), CONVOLUTIONS)

    @property
    def has_kernel(self) -> bool:
        """Whether it is a convolution with a kernel larger than one position, not factored yet."""
        return isinstance(self.layer, CONVOLUTIONS) and self.layer.weight[0, 0].numel() > 1

    @property
    def matrix(self) -> Tensor:
        """Its weight, (rows, columns) in float64."""
        return matrix(self.layer)


@dataclass(frozen=True)
class FoundLayers:
    """The layers with weights of a net, in its order, by path: ``targets``, and ``left``, skipped with the reason."""

    targets: dict[str, FactorizableLayer]
    left: dict[str, str]
    order: list[tuple[str, nn.Module]]


def find_targets(net: nn.Module, example: Tensor, skip: Sequence[str] = ()) -> FoundLayers:
    """Finds the layers that can be factored, and the reason for each that is skipped.

    Args:
        net: run once on ``example``, in eval mode; not modified.
        example: a batch of one as the net takes it.
        skip: paths, patterns such as ``encoder.*`` or paths of blocks to skip.

    Raises:
        UsageError: an entry of ``skip`` names no layer with weights; the message names the nearest.
    """
    order = list(_layers(net))
    skipped = _skipped([name for name, _ in order], skip)
    sites = _sites(net, [(name, layer) for name, layer in order if _why_not(layer) is None], example)
    owners: dict[int, list[str]] = {}
    for name, layer in order:
        for parameter in layer.parameters(recurse=isinstance(layer, Factored)):
            owners.setdefault(id(parameter), []).append(name)
    targets: dict[str, FactorizableLayer] = {}
    left: dict[str, str] = {}
    for name, layer in order:
        reason = "skipped by name" if name in skipped else _why_not(layer)
        if reason is None:
            shared = [o for p in layer.parameters() for o in owners[id(p)] if o != name]
            site = sites.get(name)
            target = _target(name, layer, site or Site(0, 0, 0, ()))
            if shared:
                reason = f"shares its weight with {shared[0]}"
            elif site is None:
                reason = "never called itself; another module reads its weight"
            elif target.rows + target.columns >= target.weights:
                reason = "too small: even rank 1 saves nothing"
            else:
                targets[name] = target
                continue
        left[name] = reason
    return FoundLayers(targets, left, order)


def _layers(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules with parameters of their own, a factored layer as one."""
    inside: list[str] = []
    for name, module in net.named_modules():
        if any(name.startswith(prefix) for prefix in inside):
            continue
        if isinstance(module, Factored):
            inside.append(f"{name}." if name else "")
            yield name, module
        elif any(True for _ in module.parameters(recurse=False)):
            if parametrize.is_parametrized(module):
                inside.append(f"{name}.parametrizations")
            yield name, module
        elif any(buffer.ndim > 1 for buffer in module.buffers(recurse=False)) or parametrize.is_parametrized(module):
            inside.append(f"{name}.parametrizations")
            yield name, module


def _why_not(layer: nn.Module) -> str | None:
    """Why a layer cannot be factored; None where it can."""
    kind = type(layer).__name__
    if parametrize.is_parametrized(layer):
        return "its weight is computed from others"
    if isinstance(layer, Factored):
        if layer.scheme != "channel":
            return f"already factored, by {layer.scheme}"
        return None if all(map(_is_plain, layer.children())) else "its factors do not hold plain floating numbers"
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        return "recurrent: torch's kernel takes whole matrices"
    if isinstance(layer, nn.MultiheadAttention):
        return "torch's attention holds its three projections as one matrix and reads it itself"
    if isinstance(layer, _TRANSPOSED):
        return "transposed convolution"
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return "embedding: rows are looked up, not multiplied"
    if isinstance(layer, CONVOLUTIONS) and _is_plain(layer):
        return None if layer.groups == 1 else "grouped convolution"
    if isinstance(layer, nn.Linear) and _is_plain(layer):
        return None
    if any(True for _ in layer.children()):
        return "parameters of its own, outside any layer"
    parameters = list(layer.parameters(recurse=False))
    if parameters and all(p.ndim < 2 for p in parameters):
        return "vectors only"
    return f"no rule for layers of type {kind}"


def _is_plain(layer: nn.Module) -> bool:
    """Whether it computes what its class in torch.nn does, with floating-point weights."""
    base = next((kind for kind in (nn.Linear, *CONVOLUTIONS) if isinstance(layer, kind)), None)
    same = base is not None and type(layer).forward is base.forward
    return same and isinstance(layer.weight, nn.Parameter) and layer.weight.is_floating_point()


def _target(name: str, layer: nn.Module, site: Site) -> FactorizableLayer:
    rows, columns = writer(layer).weight.shape[0], reader(layer).weight[0].numel()
    rank = layer.ranks[0] if isinstance(layer, Factored) else min(rows, columns)
    return FactorizableLayer(name, layer, rows, columns, weights_of(layer), rank, site)


def _sites(net: nn.Module, layers: Iterable[tuple[str, nn.Module]], example: Tensor) -> dict[str, Site]:
    """Calls and positions of each layer in one forward pass; layers that were not called are missing."""
    sites: dict[str, Site] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        def note(module: nn.Module, arguments: Any, returned: Tensor) -> None:
            given = cast(Tensor, arguments[0])
            before = sites.get(name, Site(0, 0, 0, tuple(given.shape)))
            read = given.numel() // reader(layer).weight.shape[1]
            written = returned.numel() // writer(layer).weight.shape[0]
            sites[name] = Site(before.calls + 1, before.read + read, before.written + written, before.shape)

        return note

    hooks = [layer.register_forward_hook(watch(name, layer)) for name, layer in layers]
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad(), no_fast_path():
            net(example)
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    return sites


def _skipped(names: list[str], skip: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for word in skip:
        matched = {n for n in names if n == word or n.startswith(f"{word}.") or fnmatchcase(n, word)}
        if not matched:
            fix = did_you_mean(word, [n for n in names if n])
            raise UsageError(f"no layer with weights is called {word!r}", "compression.skip", fix)
        found |= matched
    return found
