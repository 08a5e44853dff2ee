"""Second moments of each layer's outputs and output gradients (K-FAC statistics), from one pass over samples."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.low_rank.factored import bias_of
from bmx.compression.low_rank.factorizable_layers import FactorizableLayer
from bmx.compression.method import Context
from bmx.errors import UsageError
from bmx.measure.meta_copy import no_fast_path

# A net that has fitted its training samples is confident of nearly all of them, so that a handful would dominate the
# gradients. With softened predictions every sample contributes; 4, as in distillation, retains more score than 1.
TEMPERATURE = 4.0


@dataclass
class Curvature:
    """Second-moment sums over calibration samples of one layer with O outputs; all float64.

    Attributes:
        outputs: sum of y yᵀ, (O, O), y the output at one position without the bias.
        total: sum of y, (O,).
        gradients: sum of g gᵀ, (O, O), g the gradient of one sample's loss at y.
        positions: number of rows y that were summed.
        samples: number of samples they come from.
    """

    outputs: Tensor
    total: Tensor
    gradients: Tensor
    positions: int = 0
    samples: int = 0

    @property
    def mean(self) -> Tensor:
        """E[y], (O,)."""
        return self.total / self.positions

    def spread(self, centred: bool) -> Tensor:
        """E[y yᵀ], or the covariance of y where a bias can absorb the mean; (O, O)."""
        second = self.outputs / self.positions
        return second - torch.outer(self.mean, self.mean) if centred else second

    def fisher(self) -> Tensor:
        """E[g gᵀ] with positions summed within a sample, (O, O): the output side of the Fisher information."""
        return self.gradients / self.samples


def measure_curvature(
    net: nn.Module, targets: Mapping[str, FactorizableLayer], context: Context, samples: int
) -> dict[str, Curvature]:
    """Accumulates :class:`Curvature` of each layer in one forward and backward pass over calibration samples.

    The gradients are those of the true Fisher information (Martens & Grosse 2015): the labels are drawn from the
    model's own predictions, softened by a temperature, by a generator that follows from ``context.seed``, and not
    taken from the data. A regression counts as a normal distribution of unit variance around the output.

    Args:
        net: not modified; a copy in eval mode is run.
        targets: the layers to measure, by path.
        context: supplies the samples.
        samples: minimum number of samples, if there are as many.

    Raises:
        UsageError: there are no calibration samples.
    """
    copied = copy.deepcopy(net).eval().requires_grad_(False)
    found: dict[str, Curvature] = {}
    hooks = []
    for name, target in targets.items():
        zero = torch.zeros(target.rows, target.rows, dtype=torch.float64)
        found[name] = Curvature(zero, zero[0].clone(), zero.clone())
        bias = bias_of(target.layer)
        hooks.append(copied.get_submodule(name).register_forward_hook(_watch(found[name], bias, target)))
    generator = torch.Generator().manual_seed(context.seed)
    seen = 0
    try:
        with torch.enable_grad(), no_fast_path():
            for inputs, _ in _at_most(context, samples):
                seen += len(inputs)
                outputs = copied(inputs)
                # The gradient of each sample's own loss at its outputs, which needs neither the loss nor its mean.
                outputs.backward(_noise(outputs.detach().float(), context.spec.task, generator).to(outputs.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise UsageError(
            "there are no samples to calibrate with",
            "the training split",
            "use data with training samples, or compression.rule=energy, which looks at the weights alone",
        )
    for curvature in found.values():
        curvature.samples = seen
    return found


def _at_most(context: Context, samples: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches up to ``samples`` samples, the last one truncated."""
    left = samples
    for inputs, targets in context.calibration(samples):
        yield inputs[:left], targets[:left]
        left -= len(inputs)
        if left <= 0:
            return


def _noise(outputs: Tensor, task: str, generator: torch.Generator) -> Tensor:
    """Gradient of the negative log-likelihood of targets drawn from the softened model, at its logits (N, K)."""
    if task == "regression":
        return torch.randn(outputs.shape, generator=generator)
    if outputs.shape[1] == 1:  # a single logit: binary classification
        p = (outputs / TEMPERATURE).sigmoid()
        return p - torch.bernoulli(p, generator=generator)
    p = (outputs / TEMPERATURE).softmax(1)
    drawn = torch.multinomial(p, 1, generator=generator)
    return p.scatter_add(1, drawn, torch.full_like(p[:, :1], -1.0))


def _watch(into: Curvature, bias: Tensor | None, target: FactorizableLayer) -> Any:
    # The channels of a convolution come before its positions.
    channels_first = target.channels_first

    def rows(t: Tensor) -> Tensor:
        return (t.movedim(1, -1) if channels_first else t).reshape(-1, target.rows)

    def forward(module: nn.Module, arguments: Any, returned: Tensor) -> Tensor:
        y = rows(returned.detach())
        if bias is not None:
            y = y - bias
        into.outputs += (y.T @ y).double()
        into.total += y.sum(0, dtype=torch.float64)
        into.positions += len(y)
        # A leaf that requires a gradient is added, so that gradients reach this output though no weight requires one.
        out = returned + torch.zeros((), dtype=returned.dtype, requires_grad=True)
        out.register_hook(backward)
        return out

    def backward(gradient: Tensor) -> None:
        g = rows(gradient)
        into.gradients += (g.T @ g).double()

    return forward
