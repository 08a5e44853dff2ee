"""Describes the change of each layer by quantisation, for the table of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from bmx.compression.method import LayerChange
from bmx.compression.recipe import Step

# Bits of a weight that is not quantised.
FLOAT = 32


def changes(
    net: nn.Module,
    folded: Mapping[str, str],
    notes: Mapping[str, str | None],
    bits: Mapping[str, int],
    step: Step,
    cut: Mapping[str, Mapping[str, float]],
) -> list[LayerChange]:
    """One entry for each module with weights.

    Args:
        net: the original.
        folded: each folded batch normalisation, and its convolution.
        notes: for each module why it is skipped, or None.
        bits: of the weights of the others; ``FLOAT`` where the score required it.
        step: the recipe step.
        cut: by layer, the fraction of ``inputs``, ``outputs`` and ``weights`` beyond the ends of their grids.
    """
    rows = []
    for name, why_not in notes.items():
        module = net.get_submodule(name)
        before = sum(p.numel() for p in module.parameters(recurse=why_not is not None and "already" in why_not))
        after = before
        if name in folded:
            after, note = 0, f"went into {folded[name]}"
        elif name in step["tables"]:
            note = f"8-bit {', '.join(step['tables'][name])}; computes in floats"
        elif why_not is not None:
            note = why_not
        elif name not in step["layers"]:
            note = "stays in floats: the accuracy needs it"
        else:
            note = _note(module, bits[name], step["layers"][name]) + _cut(cut.get(name, {}))
        if name in folded.values() and module.bias is None:
            after = before + len(module.weight)
        rows.append(LayerChange(name, type(module).__name__, before, after, note))
    return rows


def _note(module: nn.Module, bits: int, fields: Mapping[str, Any]) -> str:
    if isinstance(module, nn.RNNBase):
        return "8-bit weights" if isinstance(module, nn.LSTM) else "8-bit weights; floats in an ONNX file"
    inputs = {"static": ", 8-bit inputs", "dynamic": ", 8-bit inputs by batch", None: ""}[fields["input"]]
    full = " over the full range" if fields["input"] and fields["bits"] == 8 else ""
    return f"{bits}-bit weights{full}{inputs}{', 8-bit outputs' if fields['output'] else ''}"


def _cut(shares: Mapping[str, float]) -> str:
    """The note on clipped values, such as ``, cut off: 0.1 % of the inputs``."""
    words = [f"{100 * share:.2g} % of the {what}" for what, share in shares.items() if share >= 5e-5]
    return f", cut off: {', '.join(words)}" if words else ""
