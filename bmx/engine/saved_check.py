"""Verifies a model file right after writing: reads it back and compares outputs with the model in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from bmx.engine import random_state
from bmx.engine.predictor import load_model
from bmx.errors import RunFailed

CHECKED = 8
"""Number of samples that a model file is verified on."""

# Tolerance relative to the largest output: same operations and numbers, perhaps in another memory layout.
_SAME = {torch.float64: 1e-6, torch.float32: 1e-4}
_SAME_IN_HALF = 5e-2


def check_saved(
    path: Path, net: nn.Module, input_stage: nn.Module, raw: Tensor, weights: Mapping[str, Tensor] | None = None
) -> None:
    """Checks that ``path`` loads as the model that it was written from.

    Args:
        path: a model file, just written.
        net: the model in memory; its mode and the random state are preserved.
        input_stage: its preprocessing.
        raw: a few raw samples (N, ...).
        weights: the written ones, under the prefix ``net.``, where the net's have changed since.

    Raises:
        RunFailed: configuration and recipe in the file build a model with other outputs.
    """
    device = next((t.device for t in (*net.parameters(), *net.buffers())), raw.device)
    state = random_state.capture()
    try:
        again = load_model(path).to(device)
        with torch.no_grad(), _evaluated(net):
            inputs = input_stage(raw.to(device))
            expected = _outputs(net, inputs, weights)
            found = again.net(again.input_stage(raw.to(device)))
    finally:
        random_state.restore(state)
    allowed = _SAME.get(expected.dtype, _SAME_IN_HALF)
    if expected.shape != found.shape or not _close(expected, found, allowed):
        most = float((expected - found).abs().max()) if expected.shape == found.shape else float("inf")
        raise RunFailed(
            f"the saved model is not the one in memory: its outputs differ by up to {most:.3g}",
            str(path),
            "what its constructor builds must follow from its fields alone: is a weight shared or replaced later?",
        )


def _outputs(net: nn.Module, inputs: Tensor, weights: Mapping[str, Tensor] | None) -> Tensor:
    state = {} if weights is None else {n.removeprefix("net."): t for n, t in weights.items() if n.startswith("net.")}
    own = net.state_dict()
    if all(name in own and torch.equal(own[name], tensor) for name, tensor in state.items()):
        # Not through __call__: it may be compiled, and would be compiled once more for this mode.
        found: Tensor = net.forward(inputs)
    else:
        found = torch.func.functional_call(net, state, (inputs,))
    return found


def _close(expected: Tensor, found: Tensor, allowed: float) -> bool:
    both = torch.stack((expected.double(), found.double()))
    largest = both.nan_to_num().abs().max().clamp(min=1e-12)
    # A model that has diverged is still the same model.
    return bool(torch.allclose(both[0], both[1], rtol=0.0, atol=float(allowed * largest), equal_nan=True))


@contextmanager
def _evaluated(net: nn.Module) -> Iterator[None]:
    """Context manager for eval mode; afterwards each module is in its former mode."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
