"""Rank of a noisy matrix by analytic variational Bayesian matrix factorisation (VBMF)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Threshold of a singular value in units of the noise; section 4 of the paper.
_TAU_PER_ROOT_ALPHA = 2.5129


def vbmf_rank(matrix: Tensor) -> int:
    """Number of singular values above the noise, whose variance is estimated.

    The global solution of empirical variational Bayesian matrix factorisation: Nakajima, Sugiyama, Babacan & Tomioka
    2013, "Global analytic solution of fully-observed variational Bayesian matrix factorization", theorem 2 and
    corollary 2. Kim et al. 2016 choose the ranks of convolutions by it.

    Args:
        matrix: (M, N), any floating type.

    Returns:
        0 to min(M, N); 0 where all is noise.
    """
    matrix = matrix.double()
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    short, long = matrix.shape
    squares = torch.linalg.svdvals(matrix).square()
    if not squares.sum() > 0:
        return 0
    # A singular value of exactly zero has no logarithm.
    squares = squares.clamp(min=float(squares[0]) * 1e-24)
    alpha = short / long
    tau = _TAU_PER_ROOT_ALPHA * math.sqrt(alpha)
    edge = (1 + tau) * (1 + alpha / tau)
    most = max(0, min(math.ceil(short / (1 + alpha)) - 1, short) - 1)
    rest = squares[most + 1 :] if most + 1 < short else squares[-1:]
    low = max(float(rest[0]) / (long * edge), float(rest.mean()) / long)
    high = float(squares.mean()) / long
    noise = _least(lambda variance: _free_energy(variance, squares, long, alpha, edge), low, max(low, high))
    return int((squares > long * noise * edge).sum())


def _free_energy(variance: float, squares: Tensor, long: int, alpha: float, edge: float) -> float:
    """Twice the free energy as a function of the noise's variance, up to a constant; equation 20 of the paper."""
    x = squares / (long * variance)
    signal, noise = x[x > edge], x[x <= edge]
    middle = signal - (1 + alpha)
    tau = (middle + (middle.square() - 4 * alpha).clamp(min=0).sqrt()) / 2
    of_signal = signal - tau + ((tau + 1) / signal).log() + alpha * (tau / alpha + 1).log()
    return float((noise - noise.log()).sum() + of_signal.sum())


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Minimiser of a function of a positive number: a logarithmic scan, then golden-section search."""
    if high <= low:
        return low
    a, b = math.log(low), math.log(high)
    points = [a + (b - a) * i / 64 for i in range(65)]
    at = min(range(65), key=lambda i: function(math.exp(points[i])))
    a, b = points[max(0, at - 1)], points[min(64, at + 1)]
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = b - golden * (b - a), a + golden * (b - a)
        if function(math.exp(left)) < function(math.exp(right)):
            b = right
        else:
            a = left
    return math.exp((a + b) / 2)
