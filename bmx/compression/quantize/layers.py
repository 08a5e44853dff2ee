"""Quantised layers in plain torch: fake-quantised float weights while tuned, integers when stored.

torch has no suitable integer kernels, so a layer computes in floats that lie on the integers' grids. Once the model is
exported, the same values go through integer kernels in onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.compression.quantize import quantization_grid

COVERED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


class StoredWeights(nn.Module):
    """Weights stored as integers: int8 codes, or two four-bit codes in a byte, and the scale of each group.

    Args:
        shape: of the weights.
        bits: 8 or 4; 7 for int8 codes within ±63.
        group: weights that share a step; 0 is all of one output.
    """

    codes: nn.Parameter
    scale: Tensor

    def __init__(self, shape: torch.Size, bits: int, group: int) -> None:
        super().__init__()
        self.shape, self.bits, self.group = shape, bits, group
        outputs, groups, size = quantization_grid.grouped(torch.empty(shape, device="meta"), group).shape
        if bits == 4:
            empty = torch.zeros(outputs, groups * size // 2, dtype=torch.uint8)
        else:
            empty = torch.zeros(shape, dtype=torch.int8)
        self.codes = nn.Parameter(empty, requires_grad=False)
        self.register_buffer("scale", torch.ones(outputs, groups))

    @classmethod
    def of(cls, weight: Tensor, bits: int, group: int, clip: Tensor) -> StoredWeights:
        """Rounds ``weight`` to grids that end at ``clip`` (O, G) times the largest absolute weight of each group."""
        stored = cls(weight.shape, bits, group)
        groups = quantization_grid.grouped(weight.detach(), group)
        scale = quantization_grid.weight_scale(groups, bits, clip)
        codes = quantization_grid.weight_codes(groups, scale, bits)
        packed = (
            quantization_grid.pack(codes.flatten(1)) if bits == 4 else quantization_grid.ungrouped(codes, weight.shape)
        )
        stored.codes.data, stored.scale = packed.contiguous(), scale
        return stored

    def integers(self) -> Tensor:
        """The integer codes (O, …), int8."""
        if self.bits != 4:
            return self.codes
        return quantization_grid.ungrouped(quantization_grid.unpack(self.codes).unsqueeze(1), self.shape)

    def step(self) -> Tensor:
        """Of the grid of each output (O,), where it has one only."""
        return self.scale[:, 0]

    def forward(self) -> Tensor:
        """The dequantised weights, in the dtype of the scales."""
        if not self.group:
            scale = self.scale.view(-1, *[1] * (len(self.shape) - 1))
            return self.integers().to(scale.dtype) * scale
        groups = quantization_grid.grouped(self.integers().to(self.scale.dtype), self.group)
        return quantization_grid.ungrouped(groups * self.scale.unsqueeze(-1), self.shape)


class TunedWeights(nn.Module):
    """Fake-quantised float weights: rounded to their grids on use, trained by straight-through gradients.

    Args:
        weight: the initial weights.
        bits: 8, 7 or 4.
        group: weights that share a step; 0 is all of one output.
        clip: (O, G), where each grid ends, as a fraction of its largest weight.
    """

    clip: Tensor

    def __init__(self, weight: Tensor, bits: int, group: int, clip: Tensor) -> None:
        super().__init__()
        self.bits, self.group = bits, group
        self.values = nn.Parameter(weight.detach().clone())
        self.register_buffer("clip", clip.to(weight.dtype))

    def stored(self) -> StoredWeights:
        """The stored form of the weights, with the same values, for the end of tuning."""
        return StoredWeights.of(self.values, self.bits, self.group, self.clip)

    def step(self) -> Tensor:
        """Of the grid of each output (O,), where it has one only."""
        groups = quantization_grid.grouped(self.values.detach(), self.group)
        return quantization_grid.weight_scale(groups, self.bits, self.clip)[:, 0]

    def widen(self, least: Tensor) -> None:
        """Makes the step of each output's grid at least ``least`` (O,)."""
        self.clip = self.clip * quantization_grid.widening(self.step(), least).unsqueeze(1)

    def forward(self) -> Tensor:
        return quantization_grid.weights_on_grid(self.values, self.bits, self.group, self.clip)


class StaticGrid(nn.Module):
    """Static fake quantisation of activations to a calibrated eight-bit grid."""

    scale: Tensor
    zero: Tensor

    def __init__(self, scale: float = 1.0, zero: int = 0) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("zero", torch.tensor(zero, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        return quantization_grid.on_grid(x, self.scale, self.zero)


class DynamicGrid(nn.Module):
    """Dynamic fake quantisation to the eight-bit grid that spans each batch, as ONNX's DynamicQuantizeLinear."""

    def forward(self, x: Tensor) -> Tensor:
        first, last = quantization_grid.ACTIVATION_RANGE
        seen = x.detach().float()
        low, high = seen.amin().clamp(max=0), seen.amax().clamp(min=0)
        scale = (high - low) / (last - first)
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        zero = (first - low / scale).clamp(first, last).round()
        return quantization_grid.on_grid(x, scale, zero)


class QuantizedLayer(nn.Module):
    """Base class of layers with quantised weights.

    Attributes:
        weights: module that returns the weights as floats on their grids.
        input: rounds the input; the identity where only the weights are quantised.
    """

    def __init__(self, weights: StoredWeights | TunedWeights, bias: Tensor | None, input: nn.Module | None) -> None:
        super().__init__()
        self.weights: nn.Module = weights
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.input = input or nn.Identity()

    @property
    def weight(self) -> Tensor:
        """The weights, for modules that read the weights of another, as torch's fused attention does."""
        return cast(Tensor, self.weights())

    @property
    def added(self) -> Tensor | None:
        """The bias; with a static input grid rounded to multiples of the products' step, as in integer kernels."""
        if self.bias is None or not isinstance(self.input, StaticGrid):
            return self.bias
        step = self.input.scale.float() * cast(StoredWeights | TunedWeights, self.weights).step().float()
        return quantization_grid.steps_of(self.bias, step)

    @property
    def bits(self) -> int:
        """Bits of a weight."""
        return cast(int, self.weights.bits)

    def needs(self) -> Tensor | None:
        """The smallest step of each output's grid (O,) at which a 32-bit integer holds the bias; None for any."""
        if self.bias is None or not isinstance(self.input, StaticGrid):
            return None
        return quantization_grid.least_step(self.bias.detach(), self.input.scale)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class QuantizedLinear(QuantizedLayer):
    """nn.Linear with quantised weights: (…, I) to (…, O)."""

    def __init__(
        self, linear: nn.Linear, weights: StoredWeights | TunedWeights, input: nn.Module | None = None
    ) -> None:
        super().__init__(weights, linear.bias, input)
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        return F.linear(x, self.weight.to(x.dtype), self.added)


class QuantizedConv(QuantizedLayer):
    """nn.Conv1d or nn.Conv2d with quantised weights.

    Attributes:
        output: rounds the output where no other quantised layer does, so that an integer kernel can compute it.
    """

    def __init__(
        self,
        conv: nn.Conv1d | nn.Conv2d,
        weights: StoredWeights | TunedWeights,
        input: nn.Module | None = None,
        output: nn.Module | None = None,
    ) -> None:
        super().__init__(weights, conv.bias, input)
        self.output = output or nn.Identity()
        self.in_channels, self.out_channels, self.kernel_size = conv.in_channels, conv.out_channels, conv.kernel_size
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution itself, with the given weights."""
        convolution = F.conv1d if len(self.kernel_size) == 1 else F.conv2d
        return convolution(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        return self.output(self.convolve(x, self.weight.to(x.dtype), self.added))


class QuantizedEmbedding(QuantizedLayer):
    """nn.Embedding with quantised vectors: ids to vectors, each on its own grid."""

    def __init__(self, embedding: nn.Embedding, weights: StoredWeights | TunedWeights) -> None:
        super().__init__(weights, None, None)
        self.num_embeddings, self.embedding_dim = embedding.num_embeddings, embedding.embedding_dim
        self.padding_idx = embedding.padding_idx

    def forward(self, ids: Tensor) -> Tensor:
        if isinstance(self.weights, StoredWeights) and self.weights.bits == 8:
            # Only the requested rows are dequantised.
            scale = self.weights.scale
            return self.weights.codes[ids].to(scale.dtype) * scale[ids]
        return F.embedding(ids, self.weight, self.padding_idx)


def finish_layers(net: nn.Module) -> None:
    """Converts tuned weights to stored ones, in place; a weight that layers share is stored once."""
    stored: dict[nn.Module, StoredWeights] = {}
    layers = [layer for layer in net.modules() if isinstance(layer, QuantizedLayer)]
    make_room(layers)
    for layer in layers:
        if isinstance(layer.weights, TunedWeights):
            if layer.weights not in stored:
                stored[layer.weights] = layer.weights.stored()
            layer.weights = stored[layer.weights]


def make_room(layers: Sequence[QuantizedLayer]) -> None:
    """Widens the grids of tuned weights so small relative to a bias that its integer would overflow."""
    for layer in layers:
        needed, weights = layer.needs(), layer.weights
        if needed is not None and isinstance(weights, TunedWeights) and not weights.group:
            weights.widen(needed)
