"""Post-training int8 quantisation of ONNX files by onnxruntime: smaller, and faster where the CPU supports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bmx.export.graph import INPUT, quietly

# Their matrix products are inside one operation, which only the dynamic quantiser supports.
_RECURRENT = {"LSTM", "GRU", "RNN"}


def quantise(source: Path, target: Path, batches: Iterable[Tensor]) -> None:
    """Writes an int8 version of an ONNX file: weights per channel, activations by their ranges in ``batches``.

    Models with recurrent layers are quantised dynamically, which needs no ranges. Weights stay within 64, so that the
    file gives the same outputs on processors with and without VNNI; where it may be slower:
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

    Args:
        source: a float file.
        target: the int8 file.
        batches: calibration inputs of the file, a few hundred samples of the training set.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name(f".{target.name}.float")
    try:
        with quietly():
            # Symbolic shape inference needs sympy for every dimension and fails on dynamic batches.
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            if _RECURRENT & {node.op_type for node in onnx.load(prepared).graph.node}:
                weights = quantization.QuantType.QInt8
                quantization.quantize_dynamic(prepared, target, weight_type=weights, reduce_range=True)
                return
            quantization.quantize_static(
                prepared,
                target,
                _reader(batches),
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
    finally:
        prepared.unlink(missing_ok=True)


def quantise_recurrent(model: Any, path: Path, largest: int) -> Any:
    """Dynamically quantises the LSTMs of an ONNX model: int8 weights, activations rounded to the range of each batch.

    Args:
        model: with float LSTMs, each of whose matrices lies on a grid from ``-largest`` to ``largest``.
        path: temporary files go next to it.
        largest: the integer of a matrix's largest weight.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, prepared = (path.with_name(f".{path.name}.{step}") for step in ("plain", "prepared"))
    try:
        onnx.save(model, plain)
        with quietly():
            # Without it the weights are outputs of operations, not yet constants.
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(prepared)
    finally:
        for file in (plain, prepared):
            file.unlink(missing_ok=True)
    del model.graph.value_info[:]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "LSTM" and all(name in tensors for name in node.input[1:3]):
            _to_integers(node, model.graph, largest)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
    if "com.microsoft" not in {imported.domain for imported in model.opset_import}:
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model


def _to_integers(node: Any, graph: Any, largest: int) -> None:
    """Converts an LSTM node to onnxruntime's DynamicQuantizeLSTM, in place: a scale per matrix and direction.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicQuantizeLSTM
    """
    from onnx import numpy_helper

    arrays = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [*node.input, *[""] * (8 - len(node.input))]
    grids: list[str] = []
    for at in (1, 2):
        weights = numpy_helper.to_array(arrays[inputs[at]])
        scale = np.abs(weights).max((1, 2)) / np.float32(largest)
        scale = np.where(scale > np.finfo(np.float32).tiny, scale, np.float32(1))
        codes = np.rint(weights / scale[:, None, None]).astype(np.int8)
        name = f"{inputs[at]}_int8"
        parts = {"": codes.transpose(0, 2, 1).copy(), "_step": scale, "_zero": np.zeros(len(scale), np.int8)}
        graph.initializer.extend(numpy_helper.from_array(array, f"{name}{end}") for end, array in parts.items())
        inputs[at] = name
        grids += [f"{name}_step", f"{name}_zero"]
    del node.input[:]
    node.input.extend([*inputs, *grids])
    node.op_type, node.domain = "DynamicQuantizeLSTM", "com.microsoft"
    for attribute in [attribute for attribute in node.attribute if attribute.name == "layout"]:
        node.attribute.remove(attribute)


def _reader(batches: Iterable[Tensor]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Tensor] = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.left, None)
            return None if batch is None else {INPUT: batch.contiguous().numpy()}

    return Reader()
