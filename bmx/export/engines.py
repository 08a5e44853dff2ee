"""The ways to compute a trained model: torch as it is, torch compiled, onnxruntime in float and in int8."""

from __future__ import annotations

import copy
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bmx.errors import RunFailed, UsageError, did_you_mean
from bmx.export.graph import ready
from bmx.extras import need
from bmx.measure.cost import file_bytes

ENGINES = ("eager", "compile", "onnx", "onnx_int8")


@dataclass(frozen=True)
class Engine:
    """A model that is ready to be called.

    Attributes:
        name: one of ``ENGINES``, or the format of the file that it is.
        run: from inputs as the model takes them to logits; both on ``device``.
        bytes: size of the file it needs.
        seconds: it took to make.
        device: where it takes its inputs.
    """

    name: str
    run: Callable[[Tensor], Tensor]
    bytes: int
    seconds: float
    device: torch.device


def check(engines: Sequence[str]) -> None:
    """Finds out whether engines can be made here.

    Raises:
        UsageError: an unknown word, or a package that is not installed.
    """
    for engine in engines:
        if engine not in ENGINES:
            raise UsageError(f"no engine '{engine}'", f"engines={engine}", did_you_mean(engine, ENGINES))
        if engine.startswith("onnx"):
            need("onnx", f"engines={engine}")
        if engine == "compile" and not _compiler():
            fix = "install g++, name one in the environment variable CXX, or leave compile out of engines="
            raise UsageError("torch.compile needs a C++ compiler, and there is none", "engines=compile", fix)


def _compiler() -> str | None:
    """What torch.compile calls for the CPU, where that is known before it is called."""
    if sys.platform == "win32":
        return "cl"
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))


def available(engine: str) -> bool:
    """Whether the packages of an engine are installed; an unknown word is an error.

    Raises:
        UsageError: an unknown word.
    """
    try:
        check([engine])
    except UsageError:
        if engine not in ENGINES:
            raise
        return False
    return True


def make(
    name: str,
    net: nn.Module,
    example: Tensor,
    device: torch.device,
    folder: Path,
    calibration: Sequence[Tensor] = (),
) -> Engine:
    """An engine for a model.

    Args:
        name: one of ``ENGINES``.
        net: the plain model; stays as it is.
        example: a batch of two, as the model takes it.
        device: where to compute.
        folder: files that are needed while the engine is used go there.
        calibration: batches of real inputs, for ``onnx_int8``.

    Raises:
        RunFailed: the model cannot be computed this way.
        UsageError: onnxruntime cannot use the device.
    """
    began = time.perf_counter()
    if name in ("eager", "compile"):
        model = copy.deepcopy(net).to(device).eval()
        run = _eager(model) if name == "eager" else _compiled(model, example.to(device))
        return Engine(name, run, file_bytes(net), time.perf_counter() - began, device)
    from bmx.export.onnx_file import session, write_graph

    path = folder / "float.onnx"
    if not path.exists():
        write_graph(ready(net), example.cpu(), path)
    if name == "onnx_int8":
        from bmx.export.int8 import quantise

        path, source = folder / "int8.onnx", path
        quantise(source, path, calibration)
    # Its inputs come from the CPU, wherever it computes: that copy is part of what such an engine costs.
    run = _onnx(session(path, device=device))
    return Engine(name, run, path.stat().st_size, time.perf_counter() - began, torch.device("cpu"))


def _eager(model: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return model(inputs)

    return run


def _compiled(model: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    # Weights as constants, folded and laid out for the kernels: the model is not going to be trained.
    compiled = torch.compile(model, options={"freezing": True})
    run = _eager(compiled)
    try:
        run(example)
    except Exception as error:  # a compiler can fail in any way, from a missing gcc to an unknown operation
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        fix = "leave it out of engines="
        raise RunFailed(f"torch.compile cannot do this model: {first[:200]}", "engines=compile", fix) from error
    return run


def _onnx(session: object) -> Callable[[Tensor], Tensor]:
    name = session.get_inputs()[0].name  # type: ignore[attr-defined]

    def run(inputs: Tensor) -> Tensor:
        (outputs,) = session.run(None, {name: inputs.numpy()})  # type: ignore[attr-defined]
        return torch.from_numpy(outputs)

    return run
