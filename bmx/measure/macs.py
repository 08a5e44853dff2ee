"""Multiply-accumulate (MAC) counts, exact, from the shapes of every matrix product and convolution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bmx.measure.meta_copy import plain_kernels, shadow

aten = torch.ops.aten


def count_macs(model: nn.Module, inputs: Tensor) -> int:
    """Multiply-accumulates of one forward pass of ``model`` on ``inputs``.

    Counted are convolutions, linear layers, attention, recurrent cells and every other matrix product; one FLOP count
    is twice that. Elementwise work, pooling and normalisation are not counted, as in the literature, and neither are
    the additions of biases. Nothing is computed: the count runs on shapes alone.
    """
    return sum(macs_by_module(model, inputs).values())


def macs_by_module(model: nn.Module, inputs: Tensor) -> dict[str, int]:
    """Multiply-accumulates of each module itself, without those of its submodules.

    Args:
        model: any model; a copy of it is run in eval mode on the meta device.
        inputs: an example; its batch size multiplies every count.

    Returns:
        The counts by the name in ``model.named_modules()``, "" for the model itself; modules without any are left out.
    """
    try:
        own, total = _count(shadow(model).eval(), inputs.to("meta"))
    except Exception:  # what fails on shapes alone may well run: then it is run for real, on the CPU
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other vendors' chips, whose flags are set along with it
            # With oneDNN, the matrix products of recurrent layers are inside its kernels, where they are not counted.
            with torch.backends.mkldnn.flags(enabled=False):
                own, total = _count(shadow(model, lambda t: t.to("cpu", copy=True)).eval(), inputs.cpu())
    assert sum(own.values()) == total and all(macs >= 0 for macs in own.values())
    return {name: macs for name, macs in own.items() if macs}


def _count(model: nn.Module, inputs: Tensor) -> tuple[dict[str, int], int]:
    """MACs of each module itself, and their total; a module that is called in several places has one row."""
    names = {module: name for name, module in model.named_modules()}
    own = dict.fromkeys(names.values(), 0)
    running: list[list[int]] = []  # of each call in progress: the count before it, and the count of its submodules
    with plain_kernels(), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter, torch.no_grad():

        def enter(module: nn.Module, arguments: Any) -> None:
            running.append([counter.get_total_flops() // 2, 0])

        def leave(module: nn.Module, arguments: Any, returned: Any) -> None:
            before, inside = running.pop()
            spent = counter.get_total_flops() // 2 - before
            own[names[module]] += spent - inside
            if running:
                running[-1][1] += spent

        hooks = [module.register_forward_pre_hook(enter) for module in names]
        hooks += [module.register_forward_hook(leave) for module in names]
        try:
            model(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return own, counter.get_total_flops() // 2


# torch's counter covers matrix products only; each of these returns FLOPs, which are two for one MAC.


def _vector_flops(matrix: Sequence[int], vector: Sequence[int], *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _added_vector_flops(bias: Any, matrix: Sequence[int], *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _dot_flops(left: Sequence[int], right: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(left)


def _trilinear_flops(left: Any, weight: Sequence[int], right: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    # nn.Bilinear: for each sample, weight (out, in1, in2) times the product of an entry of each input.
    samples = max(left[0], right[0])
    return 2 * samples * math.prod(weight[-3:])


_UNCOUNTED = {
    aten.mv: _vector_flops,
    aten.addmv: _added_vector_flops,
    aten.dot: _dot_flops,
    aten._trilinear: _trilinear_flops,
}
