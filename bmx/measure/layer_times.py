"""Latency of each layer within a forward pass of the whole model."""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn


def time_layers(model: nn.Module, inputs: Tensor, seconds: float = 1.0, least: int = 3) -> dict[str, float]:
    """Median seconds that each module takes itself, without its submodules, in an eager forward pass.

    The clock is read around every module, which costs some microseconds each, and on CUDA with a synchronisation: the
    sum exceeds the latency of the model unprofiled. The share of each layer is what counts.

    Args:
        model: on the device of ``inputs``; run in eval mode.
        inputs: a batch as the model takes it.
        seconds: total measuring time.
        least: minimum number of passes.
    """
    passes: dict[str, list[float]] = defaultdict(list)
    stack: list[list[Any]] = []

    def now() -> float:
        if inputs.device.type == "cuda":  # as torch documents it; not run on the machine this was written on
            torch.cuda.synchronize(inputs.device)
        return time.perf_counter()

    def enter(module: nn.Module, arguments: Any) -> None:
        stack.append([now(), 0.0])

    def leave(name: str) -> Any:
        def note(module: nn.Module, arguments: Any, returned: Any) -> None:
            began, inside = stack.pop()
            took = now() - began
            if stack:
                stack[-1][1] += took
            spent[name] += took - inside

        return note

    was_training = model.training
    model.eval()
    hooks: list[Any] = []
    for name, module in model.named_modules():
        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave(name))]
    try:
        with torch.inference_mode():
            spent: dict[str, float] = defaultdict(float)
            model(inputs)  # to warm up
            ends = time.perf_counter() + seconds
            done = 0
            while done < least or time.perf_counter() < ends:
                spent = defaultdict(float)
                stack.clear()
                model(inputs)
                done += 1
                for name, took in spent.items():
                    passes[name].append(took)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return {name: median(times) for name, times in passes.items()}
