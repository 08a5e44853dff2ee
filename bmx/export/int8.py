"""Eight-bit integers after training, by onnxruntime: a smaller ONNX file, and a faster one where the CPU helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bmx.export.graph import INPUT, quietly

# Their products are inside one operation, which only the dynamic quantiser knows.
_RECURRENT = {"LSTM", "GRU", "RNN"}


def quantise(source: Path, target: Path, batches: Iterable[Tensor]) -> None:
    """Writes an int8 version of an ONNX file: weights per channel, activations by the ranges seen in ``batches``.

    Models with recurrent layers are quantised dynamically, which needs no ranges. What is quantised where, and why it
    may be slower on processors without VNNI: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

    Args:
        source: a float file.
        target: the int8 file.
        batches: inputs as the file takes them, a few hundred samples of the training set.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name(f".{target.name}.float")
    try:
        with quietly():
            # Symbolic shape inference needs sympy's opinion on every dimension and fails on dynamic batches.
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            if _RECURRENT & {node.op_type for node in onnx.load(prepared).graph.node}:
                quantization.quantize_dynamic(prepared, target, weight_type=quantization.QuantType.QInt8)
                return
            quantization.quantize_static(
                prepared,
                target,
                _reader(batches),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
    finally:
        prepared.unlink(missing_ok=True)


def quantise_recurrent(model: Any, path: Path) -> Any:
    """An ONNX model whose LSTMs have int8 weights and round what passes through them to the range of each batch.

    Args:
        model: with LSTMs in floats.
        path: files that are needed meanwhile go beside it.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, prepared, done = (path.with_name(f".{path.name}.{step}") for step in ("plain", "prepared", "done"))
    try:
        onnx.save(model, plain)
        with quietly():
            # Without it the quantiser does not see the LSTM's weights, and leaves them as they are.
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_dynamic(
                prepared, done, op_types_to_quantize=["LSTM"], weight_type=quantization.QuantType.QInt8
            )
        return onnx.load(done)
    finally:
        for file in (plain, prepared, done):
            file.unlink(missing_ok=True)


def _reader(batches: Iterable[Tensor]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Tensor] = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.left, None)
            return None if batch is None else {INPUT: batch.contiguous().numpy()}

    return Reader()
