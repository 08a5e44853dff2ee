"""Hold-out split of a data set: seeded, stratified, exact in size."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from bmx.errors import UsageError

# Separates this random stream from others that derive from the same seed.
_STREAM = 0x5E_11


def hold_out(
    targets: Tensor, size: float, seed: int, stratify: bool = True, leave_one: bool = False
) -> tuple[Tensor, Tensor]:
    """Splits a data set in two by its targets, the same way for the same seed on every machine and version.

    With ``stratify``, each class contributes its share of the held-out part, rounded by the largest-remainder method,
    so that the total is exact and no class is off by a whole sample. Float targets (regression) are split at random.

    Args:
        targets: shape (N,); int64 class numbers or float32 values.
        size: a count (an integer, 0 allowed) or a fraction between 0 and 1; a fraction takes at least one sample.
        seed: decides which samples are taken.
        stratify: keep the proportions of the classes.
        leave_one: keep at least one sample of each class; other classes then contribute more than their share.

    Returns:
        Sorted int64 indices of the remaining part and of the held-out part.

    Raises:
        UsageError: a size that is negative, neither count nor fraction, or leaves no samples, or none of a class.
    """
    total = len(targets)
    count = _count(size, total)
    # Raw 64-bit draws: numpy promises never to change them, which it does not for permutation() or shuffle().
    order = np.argsort(np.random.PCG64([_STREAM, seed]).random_raw(total), kind="stable")
    if stratify and not targets.is_floating_point():
        classes = targets.cpu().numpy()[order]
        _, group, sizes = np.unique(classes, return_inverse=True, return_counts=True)
        if leave_one and count > (most := total - len(sizes)):
            fix = f"use data.val_size={most} or less" if most else "use data.val_size=0: each class has one sample"
            what = f"holding out {count} of {total} samples leaves none of some of the {len(sizes)} classes"
            raise UsageError(what, f"data.val_size={size}", fix)
        shares = _shares(sizes, count)
        if leave_one:
            shares = _leaving_one(shares, sizes)
        taken = _rank_in_group(group) < shares[group]
    else:
        taken = np.arange(total) < count
    held_out = np.zeros(total, dtype=bool)
    held_out[order[taken]] = True
    return torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))


def _count(size: float, total: int) -> int:
    """Converts ``size`` to a number of samples."""
    where = f"data.val_size={size}"
    number = isinstance(size, int | float) and not isinstance(size, bool) and math.isfinite(size)
    if not number or size < 0 or (size > 1 and size != int(size)):
        raise UsageError(
            f"{size} is neither a count nor a fraction of the training set",
            where,
            "give a count such as 500, a fraction such as 0.1, or 0 for none",
        )
    count = max(1, round(size * total)) if 0 < size < 1 else int(size)
    if count >= total and count > 0:
        raise UsageError(
            f"holding out {count} of {total} samples leaves none to train on",
            where,
            f"give a count below {total}, a smaller fraction, or 0 for none",
        )
    return count


def _shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """Samples of each class, ``count`` in total: largest remainders first, larger classes first among equals."""
    exact = sizes * count
    shares, remainders = np.divmod(exact, max(int(sizes.sum()), 1))
    largest = np.lexsort((-sizes, -remainders))[: count - int(shares.sum())]
    shares[largest] += 1
    return shares


def _leaving_one(shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Adjusts the shares so that every class keeps a sample: classes with the smallest share contribute one more."""
    most = sizes - 1
    missing = int(np.maximum(shares - most, 0).sum())
    shares = np.minimum(shares, most)
    while missing > 0:
        given = np.where(shares < most, shares / sizes, np.inf)
        next_ones = np.lexsort((-sizes, given))[: min(missing, int((shares < most).sum()))]
        shares[next_ones] += 1
        missing -= len(next_ones)
    return shares


def _rank_in_group(group: np.ndarray) -> np.ndarray:
    """For each entry, the number of earlier entries of the same group."""
    by_group = np.argsort(group, kind="stable")
    ordered = group[by_group]
    starts = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty(len(group), dtype=np.int64)
    rank[by_group] = np.arange(len(group)) - starts
    return rank
