"""What a way to compute a model hands back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Computed(NamedTuple):
    """A model that is ready to be called."""

    run: Callable[[Tensor], Tensor]
    """From inputs as the model takes them to logits; both on ``device``."""
    bytes: int
    """Size of the file it needs."""
    device: torch.device
    """Where it takes its inputs."""
