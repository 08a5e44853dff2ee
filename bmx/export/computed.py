"""The compiled or loaded model that an inference engine returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Computed(NamedTuple):
    """A model prepared by an inference engine."""

    run: Callable[[Tensor], Tensor]
    """Maps preprocessed inputs to logits; both on ``device``."""
    bytes: int
    """Size of its file."""
    device: torch.device
    """Device of its inputs."""
