"""Mixup (Zhang et al. 2018): convex combinations of pairs of samples."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Mixed(NamedTuple):
    """A mixed batch: ``share`` of the sample itself and the rest of the sample at ``partner``."""

    inputs: Tensor
    partner: Tensor
    share: float


def mixup(raw: Tensor, alpha: float) -> Mixed:
    """Mixes each sample with another of the batch, with a weight drawn from Beta(alpha, alpha).

    Draws from torch's global random state. Zhang et al. 2018, https://arxiv.org/abs/1710.09412.

    Args:
        raw: images or table rows (N, …); integers become float32.
        alpha: above 0; 1 makes every share equally likely.
    """
    # A Beta(a, a) variate from two Gamma(a, 1) ones, on the CPU: no wait for the device to know the share.
    first, second = torch._standard_gamma(torch.full((2,), float(alpha))).tolist()
    share = first / (first + second) if first + second > 0 else 0.5
    partner = torch.randperm(len(raw)).to(raw.device)
    values = raw if raw.is_floating_point() else raw.float()
    return Mixed(values.lerp(values.index_select(0, partner), 1 - share), partner, share)
