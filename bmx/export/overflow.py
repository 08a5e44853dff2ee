"""Detects 8-bit products that saturate on processors without VNNI, and makes onnxruntime compute them exactly.

x86 without VNNI multiplies 8-bit inputs with 8-bit weights by `vpmaddubsw`, which adds the products of two neighbours
in 16 bits and saturates: 255 * 64 * 2 fits, 255 * 127 * 2 does not.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#when-and-why-do-i-need-to-try-u8u8
"""

from __future__ import annotations

import functools
import mmap
from pathlib import Path
from typing import Any

import numpy as np

# The largest weight two of whose products with the largest input fit into 16 bits.
FITS = 32767 // (2 * 255)
REMEDY = "compress again with compression.range=reduced, which keeps weights within 63"
NEEDS = f"8-bit weights beyond {FITS} overflow in onnxruntime on x86 without VNNI; compression.range=reduced does not"

# Operations that onnxruntime runs in integers where both inputs come out of DequantizeLinear.
_FLOAT = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_INTEGER = {
    *("ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"),
    *("QLinearConv", "QLinearMatMul", "QGemm", "QAttention"),
}
_MOVES = {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "MaxPool"}


def can_overflow(model: Any) -> bool:
    """Whether an ONNX model has 8-bit products with signed weights so large that the sum of two may overflow."""
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}

    def large(name: str) -> bool:
        tensor = tensors.get(name)
        if tensor is None or tensor.data_type != TensorProto.INT8 or len(tensor.dims) < 2:
            return False
        codes = numpy_helper.to_array(tensor)
        return bool(codes.size) and int(np.abs(codes.astype(np.int16)).max()) > FITS

    def rounded(name: str) -> Any:
        """The DequantizeLinear that a value comes from, or None."""
        node = makers.get(name)
        while node is not None and node.op_type in _MOVES:
            node = makers.get(node.input[0])
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    for node in model.graph.node:
        if node.op_type in _INTEGER and any(large(name) for name in node.input):
            return True
        if node.op_type in _FLOAT:
            sides = [rounded(name) for name in node.input[:2]]
            if all(side is not None for side in sides) and any(large(side.input[0]) for side in sides):
                return True
    return False


def file_can_overflow(path: Path) -> bool:
    """Like :func:`can_overflow`, for a file; one without any integers is not parsed."""
    import onnx

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if not any(content.find(word) >= 0 for word in (b"Quantize", b"Integer", b"QLinear", b"QGemm", b"QAttention")):
            return False
    return can_overflow(onnx.load(path))


@functools.cache
def processor_overflows() -> bool:
    """Whether onnxruntime saturates sums on this processor, tested with a product of known result."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    inputs = 64
    weights = numpy_helper.from_array(np.full((inputs, 16), 127, np.int8), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [4, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [4, 16])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (products,) = session.run(None, {"x": np.full((4, inputs), 255, np.uint8)})
    return bool((products != inputs * 255 * 127).any())


def exactly(path: Path, options: Any) -> bytes:
    """Model bytes for an onnxruntime session, replacing a file whose products overflow; slower, but exact.

    Args:
        path: the file.
        options: the session's; set to convert signed weights to unsigned.
    """
    import onnx

    options.add_session_config_entry("session.x64quantprecision", "1")
    model = onnx.load(path)
    _write_zero_points(model.graph)
    return model.SerializeToString()


def _write_zero_points(graph: Any) -> None:
    """Adds per-row zero points: onnxruntime would add a scalar one, which does not fit per-row scales."""
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for at, node in enumerate(graph.node):
        if node.op_type != "DequantizeLinear" or len(node.input) > 2:
            continue
        codes, scale = (tensors.get(name) for name in node.input)
        if codes is not None and scale is not None and codes.data_type == TensorProto.INT8:
            zeros = numpy_helper.from_array(np.zeros(list(scale.dims), np.int8), f"zeros of {at}")
            graph.initializer.append(zeros)
            node.input.append(zeros.name)
