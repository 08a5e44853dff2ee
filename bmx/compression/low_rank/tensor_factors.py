"""Tucker and CP decompositions of convolution kernels, by TensorLy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bmx.compression.low_rank.factorizable_layers import FactorizableLayer
from bmx.compression.low_rank.vbmf import vbmf_rank
from bmx.extras import need


def need_tensorly() -> None:
    """Checks that TensorLy is installed, without importing it.

    Raises:
        UsageError: it is not; the message names the extra to install.
    """
    where, instead = "compression.decomposition", "use compression.decomposition=channel"
    need("tensorly", where, "a decomposition by Tucker or CP", instead)


def tensorly() -> Any:
    """Imports TensorLy."""
    import tensorly

    return tensorly


def kernel(target: FactorizableLayer) -> Tensor:
    """The weight of a convolution, (outputs, inputs, kernel positions) in float64."""
    weight = target.layer.weight
    assert isinstance(weight, Tensor)
    return weight.detach().double().flatten(2)


def sides(target: FactorizableLayer) -> tuple[Tensor, Tensor]:
    """The kernel as two matrices: a row for each input, and a row for each output."""
    weight = kernel(target)
    return weight.transpose(0, 1).flatten(1), weight.flatten(1)


def tucker_sizes(target: FactorizableLayer, by_vbmf: bool) -> list[tuple[int, int]]:
    """Pairs of ranks (inputs, outputs) from (1, 1) upwards, along one line: towards the full ranks, or those of VBMF.

    With VBMF the line goes through the ranks that Kim et al. 2016 would choose, and beyond.
    """
    towards = tuple(max(1, vbmf_rank(side)) for side in sides(target)) if by_vbmf else tuple(map(len, sides(target)))
    most = tuple(min(side.shape) for side in sides(target))
    steps = math.ceil(max(towards) * max(m / t for m, t in zip(most, towards, strict=True)))
    line = [
        tuple(min(m, max(1, math.ceil(step * t / max(towards)))) for m, t in zip(most, towards, strict=True))
        for step in range(1, steps + 1)
    ]
    return [(a, b) for a, b in dict.fromkeys(line)]


def tucker_lost(target: FactorizableLayer, ranks: Sequence[tuple[int, int]]) -> list[float]:
    """Upper bound on the share of the kernel's energy that the truncated HOSVD loses, for each pair of ranks."""
    tails = []
    for side in sides(target):
        squares = torch.linalg.svdvals(side).square()
        tails.append(torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)]) / squares.sum())
    return [float(tails[0][a] + tails[1][b]) for a, b in ranks]


def tucker_parts(target: FactorizableLayer, ranks: tuple[int, int]) -> list[Tensor]:
    """Weights of the three convolutions: (r1, inputs), (r2, r1, kernel), (outputs, r2), of equal norm.

    Tucker-2 by higher-order orthogonal iteration, from the singular vectors; no random numbers.
    """
    tl = tensorly()
    from tensorly.decomposition import partial_tucker

    with tl.backend_context("pytorch"):
        (core, (out, inner)), _ = partial_tucker(
            kernel(target), rank=[ranks[1], ranks[0]], modes=[0, 1], init="svd", n_iter_max=50
        )
    return _evened([inner.T, core, out])


def cp_parts(target: FactorizableLayer, rank: int, seed: int) -> list[Tensor]:
    """Weights of the three convolutions: (r, inputs), (r, kernel), (outputs, r), each component of equal norm.

    Alternating least squares from the singular vectors; missing ones are drawn from ``seed``.
    """
    tl = tensorly()
    from tensorly.decomposition import parafac

    with tl.backend_context("pytorch"), warnings.catch_warnings():
        # Where the rank exceeds a side of the kernel the rest is drawn at random, as intended.
        warnings.filterwarnings("ignore", message="Trying to compute SVD with n_eigenvecs")
        found = parafac(kernel(target), rank=rank, init="svd", random_state=seed, n_iter_max=50, tol=1e-6)
    scales = found.weights.abs().clamp(min=1e-30)
    out, inner, place = found.factors
    norms = [f.norm(dim=0).clamp(min=1e-30) for f in (out, inner, place)]
    size = (scales * norms[0] * norms[1] * norms[2]) ** (1 / 3)
    out, inner, place = (f * (size / n) for f, n in zip((out, inner, place), norms, strict=True))
    out = out * found.weights.sign()
    return [inner.T, place.T, out]


def _evened(parts: list[Tensor]) -> list[Tensor]:
    norms = [part.norm().clamp(min=1e-30) for part in parts]
    size = math.prod(float(norm) for norm in norms) ** (1 / len(parts))
    return [part * (size / norm) for part, norm in zip(parts, norms, strict=True)]
