"""Inference engines: eager torch, torch.compile, and those of export formats (ONNX Runtime in float and int8)."""

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

from bmx.config.engine_words import TORCH, engine_words, of_formats
from bmx.config.formats import formats
from bmx.errors import RunFailed, UsageError, did_you_mean
from bmx.export.computed import Computed
from bmx.extras import need
from bmx.measure.cost import file_bytes
from bmx.targets.entry_point import locate


@dataclass(frozen=True)
class LoadedEngine:
    """A model prepared by an inference engine.

    Attributes:
        name: an option of ``engines=``, or the format of an exported file.
        run: maps preprocessed inputs to logits; both on ``device``.
        bytes: size of its file.
        seconds: time it took to build.
        device: device of its inputs.
    """

    name: str
    run: Callable[[Tensor], Tensor]
    bytes: int
    seconds: float
    device: torch.device


def check(engines: Sequence[str]) -> None:
    """Checks that engines are available.

    Raises:
        UsageError: an unknown engine, or a package that is not installed.
    """
    for engine in engines:
        if engine not in engine_words():
            raise UsageError(f"no engine '{engine}'", f"engines={engine}", did_you_mean(engine, engine_words()))
        if engine in of_formats():
            format, _ = of_formats()[engine]
            if extra := formats()[format].extra:
                need(extra, f"engines={engine}")
        if engine == "compile" and not _compiler():
            fix = "install g++, name one in the environment variable CXX, or leave compile out of engines="
            raise UsageError("torch.compile needs a C++ compiler, and there is none", "engines=compile", fix)


def _compiler() -> str | None:
    """Path or name of the C++ compiler that torch.compile would call for the CPU; None if not found."""
    if sys.platform == "win32":
        return "cl"
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))


def available(engine: str) -> bool:
    """Whether the packages of an engine are installed.

    Raises:
        UsageError: an unknown engine.
    """
    try:
        check([engine])
    except UsageError:
        if engine not in engine_words():
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
) -> LoadedEngine:
    """Builds an engine for a model.

    Args:
        name: an option of ``engines=``.
        net: the plain model; not modified.
        example: a preprocessed batch of two.
        device: where to compute.
        folder: for files that the engine needs while it is used.
        calibration: batches of real inputs, for engines that calibrate on them.

    Raises:
        RunFailed: the engine cannot run the model.
        UsageError: the engine cannot use the device.
    """
    began = time.perf_counter()
    if name in TORCH:
        model = copy.deepcopy(net).to(device).eval()
        run = _eager(model) if name == "eager" else _compiled(model, example.to(device))
        return LoadedEngine(name, run, file_bytes(net), time.perf_counter() - began, device)
    _, engine = of_formats()[name]
    made: Computed = locate(engine.make)(net, example, device, folder, calibration)
    return LoadedEngine(name, made.run, made.bytes, time.perf_counter() - began, made.device)


def _eager(model: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return model(inputs)

    return run


def _compiled(model: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    # Freezing: weights as constants, folded and laid out for the kernels, since the model is not going to be trained.
    compiled = torch.compile(model, options={"freezing": True})
    run = _eager(compiled)
    try:
        run(example)
    except Exception as error:  # a compiler can fail in any way, from a missing gcc to an unknown operation
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        fix = "leave it out of engines="
        raise RunFailed(f"torch.compile cannot do this model: {first[:200]}", "engines=compile", fix) from error
    return run
