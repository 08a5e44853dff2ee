"""Cost of a model by layer: output shape, parameters, MACs and output bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.measure.macs import macs_by_module
from bmx.measure.meta_copy import plain_kernels, shadow


@dataclass(frozen=True)
class Layer:
    """Cost of one module itself, without its submodules, for a batch of one.

    Attributes:
        name: as in ``model.named_modules()``; "" is the model itself.
        kind: its class.
        output: shape of its output, without the batch; empty where that is no tensor.
        parameters: number of its own parameters.
        macs: its own multiply-accumulates.
        bytes: size of its output.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "output": list(self.output)}


def layers_of(model: nn.Module, inputs: Tensor) -> list[Layer]:
    """The layers of ``model``: modules that hold parameters, count multiply-accumulates or have no submodules.

    Args:
        model: not modified.
        inputs: an example with a batch of one.
    """
    macs = macs_by_module(model, inputs)
    outputs = _outputs(model, inputs)
    found = []
    for name, module in model.named_modules():
        parameters = sum(p.numel() for p in module.parameters(recurse=False))
        # A module whose MACs are in no submodule, such as an attention written out in forward(), is a layer itself.
        if not (parameters or macs.get(name) or not any(True for _ in module.children())):
            continue
        shape, size = outputs.get(name, ((), 0))
        found.append(Layer(name, type(module).__name__, shape, parameters, macs.get(name, 0), size))
    return found


def _outputs(model: nn.Module, inputs: Tensor) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape without the batch, and bytes, of the last output of each module."""
    seen: dict[str, tuple[tuple[int, ...], int]] = {}

    def watch(name: str) -> Any:
        def note(module: nn.Module, arguments: Any, returned: Any) -> None:
            first = returned[0] if isinstance(returned, tuple | list) and returned else returned
            if isinstance(first, Tensor):
                seen[name] = (tuple(first.shape[1:]), first.numel() * first.element_size())

        return note

    def run(stand_in: nn.Module, example: Tensor) -> None:
        hooks = [module.register_forward_hook(watch(name)) for name, module in stand_in.named_modules()]
        try:
            with torch.no_grad(), plain_kernels():
                stand_in(example)
        finally:
            for hook in hooks:
                hook.remove()

    try:
        run(shadow(model).eval(), inputs.to("meta"))
    except Exception:  # what fails on the meta device may well run
        seen.clear()
        run(shadow(model, lambda t: t.to("cpu", copy=True)).eval(), inputs.cpu())
    return seen
