"""Uniform quantisation grids: scales, rounding, clipping, and packing of two four-bit codes in a byte."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Eight-bit weights leave -128 out, so that the grid is symmetric around zero. Seven-bit ones are stored as eight:
# without VNNI, x86 adds two products of an eight-bit input and a weight in 16 bits, which 2 * 255 * 63 never fills.
WEIGHT_RANGE = {8: (-127, 127), 7: (-63, 63), 4: (-8, 7)}
ACTIVATION_RANGE = (0, 255)
# The largest 32-bit integer that is exact in float32.
_MOST = 2.0**31 - 128
# Half of that range: products are added to a bias.
_ROOM = 2.0**30
# Candidate ends of a grid as fractions of the largest weight.
_CLIPS = [step / 20 for step in range(20, 9, -1)]


def grouped(weight: Tensor, group: int) -> Tensor:
    """Weights (O, …) as (O, G, g): one scale for each of G groups of g neighbours, the last one zero-padded.

    Args:
        weight: the first dimension is that of the outputs.
        group: g; 0 makes all weights of an output one group.
    """
    flat = weight.flatten(1)
    if not group:
        return flat.unsqueeze(1)
    return F.pad(flat, (0, -flat.shape[1] % group)).unflatten(1, (-1, group))


def ungrouped(groups: Tensor, shape: Sequence[int]) -> Tensor:
    """The inverse of :func:`grouped` for weights of ``shape``."""
    return groups.flatten(1)[:, : math.prod(shape[1:])].reshape(shape)


def weight_scale(groups: Tensor, bits: int, clip: Tensor | float = 1.0) -> Tensor:
    """Step (O, G) of the symmetric grid that ends at ``clip`` times the largest absolute weight of each group."""
    scale = groups.abs().amax(-1) * clip / WEIGHT_RANGE[bits][1]
    return torch.where(scale > torch.finfo(scale.dtype).tiny, scale, torch.ones_like(scale))


def weight_codes(groups: Tensor, scale: Tensor, bits: int) -> Tensor:
    """The integers (O, G, g) nearest to ``groups / scale``, int8; ties round to even."""
    low, high = WEIGHT_RANGE[bits]
    return (groups / scale.unsqueeze(-1)).round().clamp(low, high).to(torch.int8)


def cut_off(groups: Tensor, bits: int, clip: Tensor) -> float:
    """The fraction of weights (O, G, g) that are clipped: more than half a step beyond the ends of their grids."""
    low, high = WEIGHT_RANGE[bits]
    codes = groups / weight_scale(groups, bits, clip).unsqueeze(-1)
    outside = (codes < low - 0.5) | (codes > high + 0.5)
    return float(outside.float().mean())


def best_clip(groups: Tensor, bits: int) -> Tensor:
    """For each group (O, G) the clip of its grid with the least squared error, out of eleven from 1 to 0.5."""
    best = torch.ones(groups.shape[:2], dtype=groups.dtype, device=groups.device)
    least = torch.full_like(best, torch.inf)
    for clip in _CLIPS:
        scale = weight_scale(groups, bits, clip)
        error = (weight_codes(groups, scale, bits) * scale.unsqueeze(-1) - groups).square().sum(-1)
        best = torch.where(error < least, clip, best)
        least = torch.minimum(error, least)
    return best


def activation_grid(low: float, high: float) -> tuple[float, int]:
    """Step and zero point of the eight-bit grid over ``[low, high]``, widened so that it holds an exact zero.

    Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference".
    """
    low, high = min(low, 0.0), max(high, 0.0)
    first, last = ACTIVATION_RANGE
    scale = (high - low) / (last - first)
    if scale < torch.finfo(torch.float32).tiny:
        return 1.0, 0
    return scale, round(min(max(first - low / scale, first), last))


def on_grid(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """``x`` rounded to an eight-bit grid and clipped to its ends; straight-through gradients between the ends.

    The straight-through estimator of Bengio et al. 2013, "Estimating or propagating gradients through stochastic
    neurons"; clipped values get none.
    """
    first, last = ACTIVATION_RANGE
    scale = scale.float()
    rounded = ((x.float() / scale).round() + zero).clamp(first, last)
    exact = ((rounded - zero) * scale).to(x.dtype)
    if not (torch.is_grad_enabled() and x.requires_grad):
        return exact
    inside = x.clamp(((first - zero) * scale).to(x.dtype), ((last - zero) * scale).to(x.dtype))
    return inside + (exact - inside).detach()


def weights_on_grid(weight: Tensor, bits: int, group: int, clip: Tensor) -> Tensor:
    """Weights rounded to their grids, with straight-through gradients to every weight."""
    groups = grouped(weight.detach(), group)
    scale = weight_scale(groups, bits, clip)
    rounded = ungrouped(weight_codes(groups, scale, bits) * scale.unsqueeze(-1), weight.shape)
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return rounded
    return weight + (rounded - weight).detach()


def steps_of(bias: Tensor, step: Tensor) -> Tensor:
    """A bias rounded to multiples of ``step`` within 32-bit integers, with straight-through gradients."""
    exact = (bias.detach().float() / step).round().clamp(-_MOST, _MOST) * step
    if not (torch.is_grad_enabled() and bias.requires_grad):
        return exact.to(bias.dtype)
    return bias + (exact - bias).detach()


def least_step(bias: Tensor, input_step: Tensor) -> Tensor:
    """The smallest step of weights (O,) at which a bias (O,) is a 32-bit integer with room for the products."""
    return bias.abs().float() / (_ROOM * input_step.float())


def widening(step: Tensor, least: Tensor) -> Tensor:
    """The factor that raises a grid's step to at least ``least``; 1 where it is."""
    return (least.to(step.dtype) / step).clamp(min=1.0)


def pack(codes: Tensor) -> Tensor:
    """Four-bit codes (…, 2n) in -8 … 7 as bytes (…, n): the first of each pair in the low nibble, 8 added to both."""
    low, high = (codes.to(torch.int16) + 8).unflatten(-1, (-1, 2)).unbind(-1)
    return (low | high << 4).to(torch.uint8)


def unpack(packed: Tensor) -> Tensor:
    """The inverse of :func:`pack`, int8."""
    pairs = torch.stack((packed & 15, packed >> 4), -1)
    return pairs.flatten(-2).to(torch.int8) - 8
