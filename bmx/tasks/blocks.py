"""What Lightning iterates: blocks of optimiser steps, so that its own cost per batch is paid once per block.

Where callbacks are to see every batch, it iterates the batches themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import cast

from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.pipeline.loading import Batch, Reader

Block = Iterator[Batch]


def batches_of(block: Block | Batch) -> Iterable[Batch]:
    """The batches of a block; a batch is a block of its own."""
    return (cast(Batch, tuple(block)),) if isinstance(block, tuple | list) else block


class StepBlocks:
    """Blocks of consecutive batches, from the current position on.

    A block is read lazily while the task steps through it and advances the position, so a checkpoint that is written
    within a block knows exactly which batch comes next.

    Args:
        reader: yields the batches.
        order: knows how many there are.
        position: where training stands; owned and advanced by the task.
        single: the batches themselves, for callbacks that are to see each; else the rest of the epoch is one block.
    """

    def __init__(self, reader: Reader, order: BatchOrder, position: Position, single: bool = False) -> None:
        self.reader = reader
        self.order = order
        self.position = position
        self.single = single

    def __len__(self) -> int:
        """Blocks in a whole epoch."""
        return len(self.order) if self.single else 1

    def __iter__(self) -> Iterator[Block | Batch | None]:
        position = self.position
        batches = self.reader.epoch(position.epoch, position.step)
        if not self.single:
            yield islice(batches, len(self.order) - position.step)
        elif self.epoch_is_over:
            yield None
        else:
            yield from batches

    @property
    def epoch_is_over(self) -> bool:
        """Whether all steps of the current epoch are made, and only its validation is to come.

        A run that stopped there comes back to an empty block, after which Lightning validates.
        """
        return self.position.step >= len(self.order)

    @property
    def blocks_done(self) -> int:
        """Blocks of the current epoch that lie behind the position; the last one never does."""
        return min(self.position.step, len(self.order) - 1) if self.single else 0


class EvaluationBlocks:
    """All batches of a set as the one block of a validation pass, or one by one.

    Args:
        reader: yields the batches.
        batches: how many there are.
        single: the batches themselves, for callbacks that are to see each.
    """

    def __init__(self, reader: Reader, batches: int, single: bool = False) -> None:
        self.reader = reader
        self.batches = batches
        self.single = single

    def __len__(self) -> int:
        return self.batches if self.single else 1

    def __iter__(self) -> Iterator[Block | Batch]:
        if self.single:
            yield from self.reader.epoch(0)
        else:
            yield self.reader.epoch(0)
