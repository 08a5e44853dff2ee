"""ONNX Runtime inference engines: float, and int8 by onnxruntime's own post-training quantisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bmx.export.computed import Computed
from bmx.export.graph import ready
from bmx.export.onnx_file import session, write_graph


def floats(
    net: nn.Module, example: Tensor, device: torch.device, folder: Path, calibration: Sequence[Tensor]
) -> Computed:
    """The model in float, run by onnxruntime."""
    return _computed(_written(net, example, folder), device)


def int8(
    net: nn.Module, example: Tensor, device: torch.device, folder: Path, calibration: Sequence[Tensor]
) -> Computed:
    """The model quantised to int8 by onnxruntime with the calibration batches."""
    from bmx.export.int8 import quantise

    source, path = _written(net, example, folder), folder / "int8.onnx"
    quantise(source, path, calibration)
    return _computed(path, device)


def _written(net: nn.Module, example: Tensor, folder: Path) -> Path:
    path = folder / "float.onnx"
    if not path.exists():
        write_graph(ready(net), example.cpu(), path)
    return path


def _computed(path: Path, device: torch.device) -> Computed:
    # Its inputs come from the CPU, wherever it computes: that copy is part of the latency of this engine.
    return Computed(_run(session(path, device=device)), path.stat().st_size, torch.device("cpu"))


def _run(session: Any) -> Callable[[Tensor], Tensor]:
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> Tensor:
        (outputs,) = session.run(None, {name: inputs.numpy()})
        return torch.from_numpy(outputs)

    return run
