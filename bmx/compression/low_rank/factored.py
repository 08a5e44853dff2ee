"""Factored linear and convolution layers: shapes, weights, and rebuilding from a recipe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from bmx.compression.module_replacement import replace
from bmx.compression.recipe import Step

SCHEMES = ("channel", "tucker", "cp")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


class Factored(nn.Sequential):
    """Factorisation of one linear or convolution layer into a sequence of two or three smaller ones.

    * ``channel``: ``first`` with r outputs and the layer's own kernel, then ``second``, pointwise (Denil et al. 2013;
      Zhang et al. 2016). The only scheme of linear layers.
    * ``tucker``: pointwise to r1 channels, ``core`` with the layer's kernel to r2, pointwise (Kim et al. 2016).
    * ``cp``: pointwise to r channels, ``core`` with the layer's kernel on each channel by itself, pointwise (Lebedev et
      al. 2015, with the two sides of the kernel as one).

    The last layer holds the bias.
    """

    def __init__(self, scheme: str, parts: OrderedDict[str, nn.Module]) -> None:
        super().__init__(parts)
        self.scheme = scheme

    @property
    def ranks(self) -> tuple[int, ...]:
        """Outputs of the first layer, and of the core of a Tucker decomposition."""
        outputs = [cast(Tensor, part.weight).shape[0] for part in self.children()]
        return (outputs[0], outputs[1]) if self.scheme == "tucker" else (outputs[0],)


def reader(layer: nn.Module) -> Any:
    """The plain layer that reads the input: the layer itself, or the first of two factors."""
    return layer.first if isinstance(layer, Factored) else layer


def writer(layer: nn.Module) -> Any:
    """The plain layer that writes the output: the layer itself, or the last of its factors."""
    return layer.second if isinstance(layer, Factored) else layer


def matrix(layer: nn.Module) -> Tensor:
    """The weight as a matrix (outputs, inputs × kernel) in float64, factors multiplied out."""
    if isinstance(layer, Factored):
        return matrix(writer(layer)) @ matrix(reader(layer))
    return cast(Tensor, layer.weight).detach().double().flatten(1)


def bias_of(layer: nn.Module) -> Tensor | None:
    """The bias (outputs,) or None."""
    bias = writer(layer).bias
    return None if bias is None else bias.detach()


def weights_of(layer: nn.Module) -> int:
    """Number of weights, without biases."""
    return sum(p.numel() for p in layer.parameters() if p.ndim > 1)


def sizes(layer: nn.Module, scheme: str, ranks: Sequence[int]) -> tuple[int, int]:
    """Weights of the factored layer: those applied at positions of the input, and those at positions of the output."""
    first, outputs = reader(layer), writer(layer).weight.shape[0]
    columns = first.weight[0].numel()
    if scheme == "channel":
        return 0, ranks[0] * (outputs + columns)
    inputs, kernel = first.weight.shape[1], first.weight[0, 0].numel()
    if scheme == "tucker":
        return ranks[0] * inputs, ranks[0] * ranks[1] * kernel + ranks[1] * outputs
    return ranks[0] * inputs, ranks[0] * (kernel + outputs)


def factored_like(layer: nn.Module, scheme: str, ranks: Sequence[int]) -> Factored:
    """Creates the factors of a layer, all zero, on its device and in its dtype.

    Args:
        layer: linear, convolution, or already factored by ``channel``.
        scheme: one of ``SCHEMES``.
        ranks: one number; two, of the inputs and the outputs, for ``tucker``.
    """
    first, last = reader(layer), writer(layer)
    weight: Tensor = first.weight
    # Built on the meta device, so that the run's random state does not change.
    made: dict[str, Any] = {"device": "meta", "dtype": weight.dtype}
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    outputs, has_bias = last.weight.shape[0], last.bias is not None
    if isinstance(first, nn.Linear):
        parts["first"] = nn.Linear(first.in_features, ranks[0], bias=False, **made)
        parts["second"] = nn.Linear(ranks[0], outputs, bias=has_bias, **made)
    else:
        make = next(kind for kind in CONVOLUTIONS if isinstance(first, kind))
        geometry: dict[str, Any] = {
            "kernel_size": first.kernel_size,
            "stride": first.stride,
            "padding": first.padding,
            "dilation": first.dilation,
            "padding_mode": first.padding_mode,
            "bias": False,
            **made,
        }
        inner = ranks[-1]
        if scheme == "channel":
            parts["first"] = make(first.in_channels, inner, **geometry)
        else:
            parts["first"] = make(first.in_channels, ranks[0], 1, bias=False, **made)
            parts["core"] = make(ranks[0], inner, groups=inner if scheme == "cp" else 1, **geometry)
        parts["second"] = make(inner, outputs, 1, bias=has_bias, **made)
    factored = Factored(scheme, parts).train(layer.training)
    if not weight.is_meta:
        factored.to_empty(device=weight.device)
        for parameter in factored.parameters():
            nn.init.zeros_(parameter)
    return factored


def fill(factored: Factored, parts: Sequence[Tensor], bias: Tensor | None) -> Factored:
    """Writes weights into factors: one tensor for each, reshaped as needed, and the bias of the last."""
    with torch.no_grad():
        for part, values in zip(factored.children(), parts, strict=True):
            weight = cast(Tensor, part.weight)
            weight.copy_(values.reshape(weight.shape))
        if bias is not None:
            writer(factored).bias.copy_(bias)
    return factored


def rebuild(net: nn.Module, step: Step) -> nn.Module:
    """Repeats a step of kind ``low_rank`` on ``net``: the same layers get factors of the same ranks, with no weights.

    Args:
        net: changed in place; may be on the meta device.
        step: ``layers``, a list of ``name``, ``scheme`` and ``ranks``.
    """
    for layer in step["layers"]:
        name = str(layer["name"])
        old = net.get_submodule(name)
        net = replace(net, old, factored_like(old, str(layer["scheme"]), list(layer["ranks"])))
    return net
