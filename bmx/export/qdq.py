"""QDQ export of quantised layers: integer weights, with QuantizeLinear and DequantizeLinear around the operations.

From these pairs onnxruntime finds the operations that it can run with integer kernels:
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx.ops import symbolic, symbolic_multi_out

from bmx.compression.module_replacement import replace
from bmx.compression.quantize.layers import (
    DynamicGrid,
    QuantizedConv,
    QuantizedLayer,
    QuantizedLinear,
    StaticGrid,
    StoredWeights,
    finish_layers,
)
from bmx.compression.quantize.quantization_grid import WEIGHT_RANGE
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.quantize.tables import RoundedTable, rounded_tables, rows, store_tables

# The version of ONNX's operations that torch's exporter writes.
OPSET = 20
# torch's compiler does not trace into these two; they are to be single nodes of its graph.
for _operation in (symbolic, symbolic_multi_out):
    torch.compiler.allow_in_graph(_operation)
Attributes = dict[str, int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]]


def largest_in_lstm(module: nn.Module) -> int:
    """Largest integer of the weight grids of a model's quantised LSTMs; 0 where it has none."""
    layers = [layer for layer in module.modules() if isinstance(layer, QuantizedRecurrent)]
    return max((WEIGHT_RANGE[layer.bits][1] for layer in layers if isinstance(layer.plain(), nn.LSTM)), default=0)


def in_onnx_operations(module: nn.Module) -> nn.Module:
    """A copy whose quantised layers are replaced by ONNX operations; it can be exported, not run."""
    module = copy.deepcopy(module)
    finish_layers(module)
    store_tables(module)
    for layer in list(module.modules()):
        for _, held, rounded in rounded_tables(layer):
            held[0] = _Table(held.original, rounded)
        if isinstance(layer, QuantizedRecurrent):
            replace(module, layer, layer.plain())
        elif isinstance(layer, QuantizedLayer):
            if isinstance(layer, QuantizedConv):
                replace(module, layer, _Convolution(layer))
            elif isinstance(layer, QuantizedLinear):
                replace(module, layer, _linear(layer))
    return module.requires_grad_(False).eval()


class _Rounding(nn.Module):
    """Fake quantisation of activations: QuantizeLinear, then DequantizeLinear."""

    scale: Tensor
    zero: Tensor

    def __init__(self, grid: StaticGrid) -> None:
        super().__init__()
        self.register_buffer("scale", grid.scale.float())
        self.register_buffer("zero", grid.zero.to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        codes = _node("QuantizeLinear", (x, self.scale, self.zero), torch.uint8, x.shape)
        return _node("DequantizeLinear", (codes, self.scale, self.zero), torch.float32, x.shape)


class _Weights(nn.Module):
    """Integer weights with a scale for each index along ``axis``, through DequantizeLinear.

    ``zero`` writes their zero points, which are 0, into the file; onnxruntime's integer Gemm expects them.
    """

    codes: Tensor
    scale: Tensor

    def __init__(self, codes: Tensor, scale: Tensor, axis: int, zero: bool = False) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("codes", codes.detach().contiguous())
        self.register_buffer("scale", scale.detach().float())
        self.zero: Tensor | None
        self.register_buffer("zero", torch.zeros(scale.shape, dtype=codes.dtype) if zero else None)

    def forward(self) -> Tensor:
        inputs = (self.codes, self.scale) if self.zero is None else (self.codes, self.scale, self.zero)
        return _node("DequantizeLinear", inputs, torch.float32, self.codes.shape, axis=self.axis)


class _Table(nn.Module):
    """An embedding table of int8 rows, through DequantizeLinear."""

    def __init__(self, stored: Tensor, rounded: RoundedTable) -> None:
        super().__init__()
        self.shape = stored.shape
        self.weights = _Weights(rows(stored), rounded.scale[:, 0], axis=0)

    def forward(self, stored: Tensor) -> Tensor:
        return self.weights().view(self.shape)


class _Bias(nn.Module):
    """A bias as 32-bit integers with the scale of the products it is added to, as integer kernels require."""

    def __init__(self, bias: Tensor, step: Tensor) -> None:
        super().__init__()
        codes = (bias.detach().float() / step).round().to(torch.int32)
        self.weights = _Weights(codes, step, axis=0)

    def forward(self) -> Tensor:
        return self.weights()


class _Float(nn.Module):
    """A float tensor, not quantised."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value.detach().float())

    def forward(self) -> Tensor:
        return self.value


class _Convolution(nn.Module):
    def __init__(self, layer: QuantizedConv) -> None:
        super().__init__()
        stored = _stored(layer)
        self.layer = (layer,)  # For its settings; the tuple keeps its tensors out of this module.
        self.weights = _Weights(stored.integers(), stored.scale[:, 0], axis=0)
        self.input = _rounding(layer.input)
        self.output = _rounding(layer.output)
        self.bias = _bias(layer, stored)

    @property
    def weight(self) -> Tensor:
        return self.weights()

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias()
        return self.output(self.layer[0].convolve(self.input(x), self.weights(), bias))


class _Linear(nn.Module):
    """A linear layer with a static quantisation grid for its inputs, or none."""

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        stored = _stored(layer)
        self.weights = _Weights(stored.integers(), stored.scale[:, 0], axis=0, zero=True)
        # A product of more than two dimensions takes the transposed matrix.
        self.transposed = _Weights(stored.integers().T, stored.scale[:, 0], axis=1)
        self.input = _rounding(layer.input)
        self.bias = _bias(layer, stored)
        self.added = None if layer.added is None else _Float(layer.added)

    @property
    def weight(self) -> Tensor:
        return self.weights()

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        if x.dim() == 2:
            return F.linear(x, self.weights(), None if self.bias is None else self.bias())
        products = torch.matmul(x, self.transposed())
        return products if self.added is None else products + self.added()


class _DynamicLinear(nn.Module):
    """A linear layer with dynamic quantisation: inputs are rounded to a grid found in each batch."""

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        stored = _stored(layer)
        self.outputs = layer.out_features
        self.codes: Tensor
        self.scale: Tensor
        self.register_buffer("codes", stored.integers().T.detach().contiguous())
        self.register_buffer("scale", stored.scale[:, 0].detach().float())
        self.bias = None if layer.added is None else _Float(layer.added)

    def forward(self, x: Tensor) -> Tensor:
        kinds, shapes = (torch.uint8, torch.float32, torch.uint8), (x.shape, (), ())
        codes, scale, zero = symbolic_multi_out(
            "DynamicQuantizeLinear", (x,), dtypes=kinds, shapes=shapes, version=OPSET
        )
        inputs = (codes, self.codes, zero)
        products = _node("MatMulInteger", inputs, torch.int32, (*x.shape[:-1], self.outputs))
        y = products.to(torch.float32) * (scale * self.scale)
        return y if self.bias is None else y + self.bias()


class _BlockLinear(nn.Module):
    """A linear layer of float inputs and four-bit weights, two in a byte, by onnxruntime's MatMulNBits."""

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        stored = _stored(layer)
        self.inputs, self.outputs, self.block = layer.in_features, layer.out_features, stored.group
        self.codes: Tensor
        self.scale: Tensor
        self.register_buffer("codes", stored.codes.detach().unflatten(1, (-1, self.block // 2)))
        self.register_buffer("scale", stored.scale.detach().float())
        self.bias = None if layer.added is None else _Float(layer.added)

    def forward(self, x: Tensor) -> Tensor:
        attributes: Attributes = {"K": self.inputs, "N": self.outputs, "bits": 4, "block_size": self.block}
        inputs = (x, self.codes, self.scale)
        shape = (*x.shape[:-1], self.outputs)
        y = symbolic("com.microsoft::MatMulNBits", inputs, attributes, dtype=torch.float32, shape=shape, version=1)
        return y if self.bias is None else y + self.bias()


def _linear(layer: QuantizedLinear) -> nn.Module:
    if isinstance(layer.input, DynamicGrid):
        return _DynamicLinear(layer)
    if layer.bits == 4:
        return _BlockLinear(layer)
    return _Linear(layer)


def _stored(layer: QuantizedLayer) -> StoredWeights:
    assert isinstance(layer.weights, StoredWeights)
    return layer.weights


def _rounding(grid: nn.Module) -> nn.Module:
    return _Rounding(grid) if isinstance(grid, StaticGrid) else nn.Identity()


def _bias(layer: QuantizedLayer, stored: StoredWeights) -> nn.Module | None:
    if layer.added is None or layer.bias is None:
        return None
    if isinstance(layer.input, StaticGrid):
        return _Bias(layer.added, layer.input.scale.float() * stored.scale[:, 0].float())
    return _Float(layer.bias)


def _node(
    operation: str, inputs: Sequence[Tensor], dtype: torch.dtype, shape: Sequence[Any], **attributes: int
) -> Tensor:
    given: Attributes = dict(attributes)
    return symbolic(operation, inputs, given or None, dtype=dtype, shape=shape, version=OPSET)
