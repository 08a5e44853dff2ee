"""Turns what a net gives for regression into the units of the targets, and targets into what a net is to give."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec


class OutputStage(nn.Module):
    """Predictions in the units of the targets, ``outputs * scale + shift``; logits pass through.

    A net learns targets of mean 0 and standard deviation 1, whatever the units of the data: its weights begin at that
    size, and the usual step sizes are made for it. The statistics are buffers, so they travel in a checkpoint. A new
    stage is the identity until :meth:`fitted` or a checkpoint gives it statistics.

    Args:
        spec: of the data; regression has ``scale`` and ``shift`` of shape (1,), classes (and no spec) have none.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, spec: DataSpec | None = None) -> None:
        super().__init__()
        regression = spec is not None and spec.task == "regression"
        self.register_buffer("scale", torch.ones(1) if regression else None)
        self.register_buffer("shift", torch.zeros(1) if regression else None)

    @classmethod
    def fitted(cls, spec: DataSpec, train: Arrays) -> OutputStage:
        """The stage that makes the training targets mean 0 and standard deviation 1; a constant is only shifted."""
        stage = cls(spec)
        if stage.scale is not None and stage.shift is not None:
            targets = train.targets.double()
            spread = float(targets.std(correction=0))
            # A constant leaves rounding dust, which must not be blown up to a standard deviation of 1.
            stage.scale.fill_(spread if spread > 1e-12 * float(targets.abs().max()) else 1.0)
            stage.shift.fill_(float(targets.mean()))
        return stage

    def forward(self, outputs: Tensor) -> Tensor:
        if self.scale is None or self.shift is None:
            return outputs
        return outputs * self.scale + self.shift

    def standardised(self, targets: Tensor) -> Tensor:
        """What a net is to give for targets, or for predictions in their units; class numbers pass through."""
        if self.scale is None or self.shift is None:
            return targets
        return (targets - self.shift) / self.scale

    @property
    def loss_unit(self) -> float:
        """What a squared error of standardised values is multiplied by to be one in the units of the targets."""
        return 1.0 if self.scale is None else float(self.scale) ** 2

    def completed(self, state: Mapping[str, Tensor], prefix: str = "output_stage.") -> dict[str, Tensor]:
        """A state dict, with the identity in it where it is from before there were output stages."""
        identity = {"scale": torch.ones(1), "shift": torch.zeros(1)} if self.scale is not None else {}
        return {**{f"{prefix}{name}": value for name, value in identity.items()}, **state}
