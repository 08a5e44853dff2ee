"""Blocks of optimiser steps that Lightning iterates like batches, so that its overhead is paid once per block.

Where callbacks need every batch, it iterates single batches.
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
    """Iterable over blocks of consecutive batches, from the current position on.

    A block is read lazily while the task steps through it and advances the position, so a checkpoint that is written
    within a block knows exactly which batch comes next.

    Args:
        reader: yields the batches.
        order: knows how many there are.
        position: progress of the training; owned and advanced by the task.
        single: single batches, for callbacks that need each; else the rest of the epoch is one block.
    """

    def __init__(self, reader: Reader, order: BatchOrder, position: Position, single: bool = False) -> None:
        self.reader = reader
        self.order = order
        self.position = position
        self.single = single

    def __len__(self) -> int:
        """Number of blocks in a whole epoch."""
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
        """Whether all steps of the current epoch are made, and only its validation is left.

        A run that stopped there resumes with an empty block, after which Lightning validates.
        """
        return self.position.step >= len(self.order)

    @property
    def blocks_done(self) -> int:
        """Number of completed blocks of the current epoch; the last one never counts."""
        return min(self.position.step, len(self.order) - 1) if self.single else 0


class EvaluationBlocks:
    """All batches of a set as the one block of a validation pass, or one by one.

    Args:
        reader: yields the batches.
        batches: number of batches.
        single: single batches, for callbacks that need each.
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
