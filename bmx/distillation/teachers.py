"""Frozen nets that are asked for their outputs."""

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
    """One frozen net.

    Attributes:
        net: takes what ``input_stage`` returns.
        input_stage: normalises raw samples as the net was trained with.
        spec: of the data that it was trained on.
        output_stage: turns what the net gives into the units of the targets.
    """

    net: nn.Module
    input_stage: nn.Module
    spec: DataSpec
    output_stage: nn.Module = field(default_factory=nn.Identity)


class Teachers:
    """One or several frozen nets, in eval mode; deliberately not an ``nn.Module``.

    A module would be registered by the task that holds it, and so come into its checkpoint, its optimiser and its
    parameter counts.

    Args:
        members: the nets; they are put into eval mode and their parameters need no gradients any more.
        layers: of the one net, whose features are wanted besides its logits.

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
        """Moves the nets."""
        for member in self.members:
            member.net.to(device)
            member.input_stage.to(device)
            member.output_stage.to(device)

    @torch.no_grad()
    def __call__(self, raw: Tensor) -> Outputs:
        """Logits (N, K) or predictions (N, 1), the mean over the nets, and features, of a raw batch."""
        total: Tensor | None = None
        for member in self.members:
            logits = member.output_stage(member.net(member.input_stage(view(raw, member.spec))))
            total = logits if total is None else total + logits
        assert total is not None
        features = self.capture.take() if self.capture is not None else []
        return Outputs(total / len(self.members) if len(self.members) > 1 else total, features)
