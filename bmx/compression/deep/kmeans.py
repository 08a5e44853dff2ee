"""k-means clustering in one dimension."""

from __future__ import annotations

import torch
from torch import Tensor


def kmeans(values: Tensor, most: int, iterations: int = 100) -> tuple[Tensor, Tensor]:
    """Clusters numbers into at most ``most`` clusters by Lloyd's algorithm; returns (centroids, labels).

    The initial centroids lie evenly between the smallest and the largest number, which preserves large weights better
    than a random or a density-based initialisation (Han et al. 2016, section 3.2). The same numbers give the same
    clusters.

    Args:
        values: (N,) finite numbers; where at most ``most`` differ, each is its own cluster.
        most: the largest number of clusters.
        iterations: the largest number of iterations.

    Returns:
        Ascending centroids (K,) in the type of ``values``, all of them used, and labels (N,) from 0 to K - 1.
    """
    distinct, labels = values.unique(sorted=True, return_inverse=True)
    if len(distinct) <= most:
        return distinct, labels
    ascending, order = values.double().sort(stable=True)
    sums = torch.cat([ascending.new_zeros(1), ascending.cumsum(0)])
    centroids = torch.linspace(float(ascending[0]), float(ascending[-1]), most, dtype=torch.float64).to(values.device)
    ends = _ends(ascending, centroids)
    for _ in range(iterations):
        counts = ends.diff()
        means = sums[ends].diff() / counts.clamp(min=1)
        centroids = torch.where(counts > 0, means, centroids).sort().values
        before, ends = ends, _ends(ascending, centroids)
        if torch.equal(before, ends):
            break
    counts = ends.diff()
    used = counts > 0
    centroids = (sums[ends].diff() / counts.clamp(min=1))[used].to(values.dtype)
    labels = torch.empty_like(order)
    labels[order] = torch.repeat_interleave(torch.arange(len(centroids), device=order.device), counts[used])
    return centroids, labels


def _ends(ascending: Tensor, centroids: Tensor) -> Tensor:
    """Boundaries of the clusters in the sorted numbers: (K + 1,) indices, the first 0."""
    between = torch.searchsorted(ascending, (centroids[1:] + centroids[:-1]) / 2)
    return torch.cat([between.new_zeros(1), between, between.new_full((1,), len(ascending))])
