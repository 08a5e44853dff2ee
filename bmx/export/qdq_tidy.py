"""Cleans up a QDQ graph: removes redundant ReLUs that block onnxruntime's integer kernels, and shortens names."""

from __future__ import annotations

from typing import Any

# Operations that only move values, or take the maximum, and so commute with a ReLU.
_MOVES = {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"}


def tidy(model: Any) -> None:
    """Removes redundant ReLUs from an ONNX model, and shortens names.

    A quantisation grid that begins at zero clips like a ReLU. Between a pooling and the rounding to such a grid, a
    ReLU would only keep onnxruntime from moving the rounding to the convolution before them, which can then return
    integers. Where that convolution is a float one, the pooling should stay in float too.
    """
    import onnx

    zeros = {t.name for t in model.graph.initializer if not onnx.numpy_helper.to_array(t).any()}
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}

    def cut_off(name: str) -> bool:
        """Whether all consumers of a value clip it at zero."""
        reading = readers.get(name, [])
        return bool(reading) and name not in outputs and all(cuts_off(node, name) for node in reading)

    def cuts_off(node: Any, name: str) -> bool:
        if node.input[0] != name:
            return False
        if node.op_type in _MOVES:
            return cut_off(node.output[0])
        return node.op_type == "QuantizeLinear" and node.input[2] in zeros

    makers = {name: node for node in model.graph.node for name in node.output}

    def behind_integers(name: str) -> bool:
        """Whether a value is the max-pooled output of a convolution of quantised inputs."""
        pool = makers.get(name)
        conv = makers.get(pool.input[0]) if pool is not None and pool.op_type == "MaxPool" else None
        before = makers.get(conv.input[0]) if conv is not None and conv.op_type == "Conv" else None
        return before is not None and before.op_type == "DequantizeLinear"

    for node in [node for node in model.graph.node if node.op_type == "Relu"]:
        if behind_integers(node.input[0]) and cut_off(node.output[0]):
            for reader in readers[node.output[0]]:
                reader.input[0] = node.input[0]
            model.graph.node.remove(node)
    _shorten(model.graph)


def _shorten(graph: Any) -> None:
    """Shortens the names of internal values, which nothing outside refers to."""
    kept = {value.name for value in [*graph.input, *graph.output]}
    short: dict[str, str] = {"": ""}
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                names[at] = name if name in kept else short.setdefault(name, f"v{len(short)}")
    for tensor in graph.initializer:
        tensor.name = short.get(tensor.name, tensor.name)
