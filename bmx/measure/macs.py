"""Multiply-accumulates, counted exactly from the shapes of every matrix product and convolution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bmx.measure.shadow import looks_at_numbers, plain_kernels, shadow

aten = torch.ops.aten


def count_macs(model: nn.Module, inputs: Tensor) -> int:
    """Multiply-accumulates of one forward pass of ``model`` on ``inputs``.

    Counted are convolutions, linear layers, attention, recurrent cells and every other matrix product; one FLOP count
    is twice that. Elementwise work, pooling and normalisation are not counted, as in the literature, and neither are
    the additions of biases. Nothing is computed: the count runs on shapes alone.
    """
    return sum(macs_by_module(model, inputs).values())


def macs_by_module(model: nn.Module, inputs: Tensor) -> dict[str, int]:
    """The multiply-accumulates that each module does itself, without those of the modules inside it.

    Args:
        model: any model; it is run in eval mode on a copy without numbers.
        inputs: an example; its batch size multiplies every count.

    Returns:
        By the name in ``model.named_modules()``, "" for the model itself; modules that do none are left out.
    """
    try:
        counts = _count(shadow(model).eval(), inputs.to("meta"))
    except RuntimeError as error:
        if not looks_at_numbers(error):
            raise
        # Then it is run for real, on the CPU, where recurrent layers hide their products in oneDNN if they may.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other vendors' chips, whose flags are set along with it
            with torch.backends.mkldnn.flags(enabled=False):
                counts = _count(shadow(model, lambda t: t.to("cpu", copy=True)).eval(), inputs.cpu())
    root = type(model).__name__
    inside = {_name(key, root): sum(ops.values()) // 2 for key, ops in counts.items() if key != "Global"}
    inside[""] = sum(counts.get("Global", {}).values()) // 2
    own = dict(inside)
    for name, macs in inside.items():
        if name:
            parent = name.rpartition(".")[0]
            while parent and parent not in own:
                parent = parent.rpartition(".")[0]
            own[parent] -= macs
    return {name: macs for name, macs in own.items() if macs}


def _count(model: nn.Module, inputs: Tensor) -> dict[str, dict[Any, int]]:
    with plain_kernels(), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter, torch.no_grad():
        model(inputs)
    return counter.get_flop_counts()


def _name(key: str, root: str) -> str:
    return "" if key == root else key.removeprefix(f"{root}.")


# torch's counter knows products of matrices only; each of these returns FLOPs, which are two for one MAC.


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
