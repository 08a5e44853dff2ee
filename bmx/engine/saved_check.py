"""Reads a model file back as soon as it is written, and compares what it holds with the model in memory."""

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
"""Samples that a model file is tried on when it is written."""

# Of the largest output: the same operations on the same numbers, perhaps on another layout of memory.
_SAME = {torch.float64: 1e-6, torch.float32: 1e-4}
_SAME_IN_HALF = 5e-2


def check_saved(
    path: Path, net: nn.Module, input_stage: nn.Module, raw: Tensor, weights: Mapping[str, Tensor] | None = None
) -> None:
    """Makes sure that ``path`` gives back the model that it was written from.

    Args:
        path: a model file, just written.
        net: the model in memory; its mode, and the state of random numbers, stay as they are.
        input_stage: what comes before it.
        raw: a few raw samples (N, ...).
        weights: those that were written, under the prefix ``net.``, where they are not the net's own any more.

    Raises:
        RunFailed: the file holds another model: its configuration and recipe build one that computes something else.
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
        # Not through __call__: it may be compiled, which would compile it once more for this mode.
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
    """While it lasts the net is in eval mode; afterwards each module is in the mode it was in."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
