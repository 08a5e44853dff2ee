"""Spectra of a layer by weight (SVD), output (PCA) or loss (K-FAC): output directions by importance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bmx.compression.low_rank.curvature import Curvature
from bmx.compression.low_rank.factored import bias_of
from bmx.compression.low_rank.factorizable_layers import FactorizableLayer

# Of the mean eigenvalue of the Fisher information, added to all: directions not seen in the samples may still matter.
_DAMPING = 1e-4
# Of the largest squared singular value.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """A weight W (O, I) as ``left @ right``, k columns times k rows, the most important first; all float64.

    Attributes:
        values: loss from dropping each direction, (k,), descending, non-negative: by the rule, the squared error of the
            weight or of the output, or the rise of the loss in nats.
        left: (O, k).
        right: (k, I).
        shift: the mean output, (k,) in the same directions; None where no bias can compensate for its dropped part.
    """

    values: Tensor
    left: Tensor
    right: Tensor
    shift: Tensor | None = None

    def lost(self) -> Tensor:
        """Loss at ranks 0, 1, ... k, (k + 1,)."""
        tail = self.values.flip(0).cumsum(0).flip(0)
        return torch.cat([tail, tail.new_zeros(1)])

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """The first (rank, I) and the second (O, rank) factor, of equal size in every direction."""
        return balanced(self.left[:, :rank], self.right[:rank])

    def bias(self, rank: int, bias: Tensor | None) -> Tensor | None:
        """The bias that compensates for the mean of the dropped directions, (O,)."""
        if bias is None or self.shift is None:
            return bias
        return bias.double() + self.left[:, rank:] @ self.shift[rank:]


def true_rank(matrix: Tensor) -> int:
    """Numerical rank of a weight, by the rounding of single precision; 1 at least."""
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    values = torch.linalg.eigvalsh(gram)
    return max(1, int((values > _ROUNDING * values[-1]).sum()))


def balanced(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """``(S^½ Vᵀ, U S^½)`` of the product U S Vᵀ = left @ right; computed from the factors, not from the product.

    Factors of unequal scale have gradients of unequal scale, and an adaptive optimiser's first steps destroy them.

    Args:
        left: (O, r).
        right: (r, I).
    """
    q_left, r_left = torch.linalg.qr(left)
    q_right, r_right = torch.linalg.qr(right.T)
    u, s, vh = torch.linalg.svd(r_left @ r_right.T)
    # With fewer inputs or outputs than the rank, the rest of the directions is zero.
    rank, kept = left.shape[1], len(s)
    first, second = s.sqrt()[:, None] * (vh[:kept] @ q_right.T), (q_left @ u[:, :kept]) * s.sqrt()
    if kept < rank:
        first = torch.cat([first, first.new_zeros(rank - kept, first.shape[1])])
        second = torch.cat([second, second.new_zeros(second.shape[0], rank - kept)], dim=1)
    return first, second


def of_weight(target: FactorizableLayer) -> Spectrum:
    """SVD of the weight: its best approximation in the Frobenius norm (Eckart & Young 1936)."""
    u, s, vh = torch.linalg.svd(target.matrix, full_matrices=False)
    return Spectrum(s.square(), u, s[:, None] * vh)


def of_output(target: FactorizableLayer, curvature: Curvature) -> Spectrum:
    """Principal components of the outputs: the best approximation of the layer's outputs on data.

    min over rank r of E‖(W - Wᵣ) x‖² is Uᵣ Uᵣᵀ W with U the eigenvectors of E[y yᵀ] (Zhang et al. 2016); with a bias,
    of the covariance, and the bias absorbs the mean.
    """
    centred = bias_of(target.layer) is not None
    weight = target.matrix
    values, u = _principal(curvature.spread(centred), weight)
    return Spectrum(values, u, u.T @ weight, u.T @ curvature.mean if centred else None)


def of_loss(target: FactorizableLayer, curvature: Curvature) -> Spectrum:
    """Directions ordered by the second-order rise of the loss when they are dropped, comparable across layers.

    With Fisher information C ⊗ G (K-FAC: Martens & Grosse 2015; convolutions as in Grosse & Martens 2016) a change D
    of the weight costs ½ tr(G D C Dᵀ). In the metric of G = L Lᵀ that is the problem of :func:`of_output`:
    Lᵀ E[y yᵀ] L = U diag(v) Uᵀ, Wᵣ = L⁻ᵀ Uᵣ Uᵣᵀ Lᵀ W, and direction i costs v_i / 2.
    """
    centred = bias_of(target.layer) is not None
    root, weight = _root(curvature.fisher()), target.matrix
    values, u = _principal(root.T @ curvature.spread(centred) @ root, root.T @ weight)
    left = torch.linalg.solve_triangular(root.T, u, upper=True)
    project = u.T @ root.T
    shift = project @ curvature.mean if centred else None
    return Spectrum(values / 2, left, project @ weight, shift)


def _principal(second: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, descending, and eigenvectors in columns, of a matrix (O, O) whose range is that of ``span``."""
    if span.shape[0] > span.shape[1]:
        # With more outputs than inputs, the outputs span no more directions than the inputs, which is much less work.
        basis, _ = torch.linalg.qr(span)
        values, u = torch.linalg.eigh(basis.T @ second @ basis)
        u = basis @ u
    else:
        values, u = torch.linalg.eigh(second)
    return values.flip(0).clamp(min=0), u.flip(1)


def _root(g: Tensor) -> Tensor:
    """Cholesky factor L of g = L Lᵀ, damped as much as needed."""
    size = float(g.diag().mean()) + 1e-30
    damping = _DAMPING
    while True:
        root, failed = torch.linalg.cholesky_ex(g + damping * size * torch.eye(len(g), dtype=g.dtype))
        if not failed:
            return root
        damping *= 10  # rounding made an eigenvalue negative
