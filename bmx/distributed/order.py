"""The part of every batch that is one rank's."""

from __future__ import annotations

from bmx.data.pipeline.batches import BatchOrder
from bmx.distributed.ranks import Ranks


class SharedOrder(BatchOrder):
    """The batches of an order, each cut to what one rank computes of it.

    Whatever the number of ranks, the batches are the same, in the same order. A rank that has nothing of a small batch
    is given its first sample, which must not count; see :func:`counted`.

    Args:
        whole: the order of the run.
        ranks: this rank among its fellows.
    """

    def __init__(self, whole: BatchOrder, ranks: Ranks) -> None:
        super().__init__(whole.size, whole.batch_size, whole.seed, whole.shuffle, whole.least)
        self.ranks = ranks

    def bounds(self, batch: int) -> tuple[int, int]:
        whole = super().bounds(batch)
        first, end = self.ranks.share(*whole)
        return (first, end) if first < end else (whole[0], whole[0] + 1)

    def counted(self, batch: int) -> tuple[int, int]:
        """Samples of a batch that are this rank's, 0 for one with nothing of it, and samples of the whole batch."""
        whole = super().bounds(batch)
        first, end = self.ranks.share(*whole)
        return end - first, whole[1] - whole[0]


class EveryNth(BatchOrder):
    """Batches r, r + count, ... of an order that is not shuffled: what rank r measures of a set.

    Args:
        whole: the batches of the set.
        ranks: this rank among its fellows.
    """

    def __init__(self, whole: BatchOrder, ranks: Ranks) -> None:
        super().__init__(whole.size, whole.batch_size, shuffle=False)
        self.ranks = ranks

    def __len__(self) -> int:
        return len(range(self.ranks.rank, super().__len__(), self.ranks.count))

    def bounds(self, batch: int) -> tuple[int, int]:
        first = (self.ranks.rank + batch * self.ranks.count) * self.batch_size
        return first, min(first + self.batch_size, self.size)
