"""Finds the weights of a net that unstructured pruning covers, and the reason for each layer that is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from bmx.errors import UsageError, did_you_mean

_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
_PRUNED = (nn.Linear, nn.Bilinear, *_CONVOLUTIONS, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(frozen=True)
class PrunableLayer:
    """One module with parameters of its own.

    Attributes:
        name: its path in the net.
        module: the module.
        weights: names in ``net.named_parameters()`` of the matrices that can be pruned; none if it is skipped.
        note: why it is skipped; empty if it is not.
    """

    name: str
    module: nn.Module
    weights: tuple[str, ...]
    note: str = ""

    @property
    def kind(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Its own parameters, without those of its submodules."""
        return list(self.module.parameters(recurse=False))


def layers_with_weights(net: nn.Module, skip: Sequence[str] = ()) -> list[PrunableLayer]:
    """Every module of ``net`` that has parameters of its own, in order.

    Args:
        net: any module.
        skip: names of layers to skip; ``*`` matches anything.

    Raises:
        UsageError: an entry of ``skip`` matches nothing, or nothing is left to prune.
    """
    check_skip(net, skip)
    seen: set[int] = set()
    found = [_layer(name, module, skip, seen) for name, module in _owners(net)]
    if not any(layer.weights for layer in found):
        fix = "shorten compression.skip" if skip else "choose a model with linear or convolution layers"
        raise UsageError("there is no layer to prune", "compression.skip" if skip else "compression=prune", fix)
    return found


def check_skip(net: nn.Module, skip: Sequence[str]) -> None:
    """Rejects an entry of ``skip`` that matches no layer.

    Raises:
        UsageError: the message has the nearest names.
    """
    names = [name for name, _ in _owners(net)]
    for pattern in skip:
        if not any(named_by(name, pattern) for name in names):
            fix = did_you_mean(pattern, names)
            raise UsageError(f"no layer is called '{pattern}'", f"compression.skip={list(skip)}", fix)


def named_by(name: str, pattern: str) -> bool:
    """Whether ``pattern`` matches the layer ``name``: its path, the path of a module around it, or a wildcard."""
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def _owners(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in net.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            yield name, module


def _layer(name: str, module: nn.Module, skip: Sequence[str], seen: set[int]) -> PrunableLayer:
    if any(named_by(name, pattern) for pattern in skip):
        return PrunableLayer(name, module, (), "left alone: named in skip")
    if not isinstance(module, _PRUNED):
        return PrunableLayer(name, module, (), f"left alone: {_reason(module)}")
    weights = []
    for own, parameter in module.named_parameters(recurse=False):
        # A matrix that several modules share is pruned once, under its first name.
        if parameter.ndim >= 2 and id(parameter) not in seen:
            seen.add(id(parameter))
            weights.append(f"{name}.{own}" if name else own)
    return PrunableLayer(
        name, module, tuple(weights), "" if weights else "left alone: shares its weights with another layer"
    )


def _reason(module: nn.Module) -> str:
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "an embedding"
    if "norm" in type(module).__name__.lower():
        return "a normalisation"
    return f"no weights of a layer type that is pruned ({type(module).__name__})"
