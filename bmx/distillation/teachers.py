"""Frozen teachers: evaluation of one net or an ensemble, with features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bmx.data.spec import DataSpec
from bmx.distillation.capture import Capture
from bmx.distillation.method import Outputs
from bmx.distillation.views import view


@dataclass(frozen=True)
class Teacher:
    """One frozen net with its input and output stages.

    Attributes:
        net: takes what ``input_stage`` returns.
        input_stage: normalises raw samples as in the net's training.
        spec: of the data that it was trained on.
        output_stage: converts the net's outputs to the units of the targets.
    """

    net: nn.Module
    input_stage: nn.Module
    spec: DataSpec
    output_stage: nn.Module = field(default_factory=nn.Identity)


class Teachers:
    """One frozen net or an ensemble of several, in eval mode; deliberately not an ``nn.Module``.

    A module would be registered by the task that holds it, and so be part of its checkpoint, its optimiser and its
    parameter counts.

    Args:
        members: the nets; set to eval mode, with ``requires_grad`` off.
        layers: paths of layers whose features are captured besides the logits; of a single net only.

    Raises:
        UsageError: a layer that the net does not have.
    """

    def __init__(self, members: Sequence[Teacher], layers: Sequence[str] = ()) -> None:
        self.members = list(members)
        for member in self.members:
            member.net.eval().requires_grad_(False)
            member.input_stage.eval()
        self.capture = Capture(self.members[0].net, layers, "distillation.teacher_layers") if layers else None

    def to(self, device: torch.device) -> None:
        """Moves the nets to a device."""
        for member in self.members:
            member.net.to(device)
            member.input_stage.to(device)
            member.output_stage.to(device)

    @torch.no_grad()
    def __call__(self, raw: Tensor) -> Outputs:
        """Logits (N, K) or predictions (N, 1), the mean over the nets, and features, for a raw batch."""
        total: Tensor | None = None
        for member in self.members:
            logits = member.output_stage(member.net(member.input_stage(view(raw, member.spec))))
            total = logits if total is None else total + logits
        assert total is not None
        features = self.capture.take() if self.capture is not None else []
        return Outputs(total / len(self.members) if len(self.members) > 1 else total, features)
