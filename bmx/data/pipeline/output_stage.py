"""Output stage of regression: standardises targets and converts predictions back to their units."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec


class OutputStage(nn.Module):
    """Converts predictions to the units of the targets, ``outputs * scale + shift``; logits pass through.

    A net is trained on targets of mean 0 and standard deviation 1, whatever the units of the data: initialisation and
    the usual learning rates are made for that scale. The statistics are buffers, so they travel in a checkpoint. A new
    stage is the identity until :meth:`fitted` or a checkpoint sets its statistics.

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
        """Creates a stage that standardises targets by those of the training set; a constant is only shifted."""
        stage = cls(spec)
        if stage.scale is not None and stage.shift is not None:
            targets = train.targets.double()
            spread = float(targets.std(correction=0))
            # A constant leaves a rounding error, which must not be scaled to a standard deviation of 1.
            stage.scale.fill_(spread if spread > 1e-12 * float(targets.abs().max()) else 1.0)
            stage.shift.fill_(float(targets.mean()))
        return stage

    def forward(self, outputs: Tensor) -> Tensor:
        if self.scale is None or self.shift is None:
            return outputs
        return outputs * self.scale + self.shift

    def standardised(self, targets: Tensor) -> Tensor:
        """Standardises targets, or predictions in their units; class numbers pass through."""
        if self.scale is None or self.shift is None:
            return targets
        return (targets - self.shift) / self.scale

    @property
    def loss_unit(self) -> float:
        """Factor from a squared error of standardised values to one in the units of the targets."""
        return 1.0 if self.scale is None else float(self.scale) ** 2

    def completed(self, state: Mapping[str, Tensor], prefix: str = "output_stage.") -> dict[str, Tensor]:
        """Completes a state dict of a version without output stages by an identity stage."""
        identity = {"scale": torch.ones(1), "shift": torch.zeros(1)} if self.scale is not None else {}
        return {**{f"{prefix}{name}": value for name, value in identity.items()}, **state}
