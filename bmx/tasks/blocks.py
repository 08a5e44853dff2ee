"""What Lightning iterates: blocks of optimiser steps, so that its own cost per batch is paid once per block."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bmx.data.batches import BatchOrder, Position
from bmx.data.loading import Batch, Reader

Block = Iterator[Batch]


class StepBlocks:
    """Blocks of consecutive batches, from the current position on.

    A block is read lazily while the task steps through it and advances the position, so a checkpoint that is written
    within a block knows exactly which batch comes next.

    Args:
        reader: yields the batches.
        order: knows how many there are.
        position: where training stands; owned and advanced by the task.
        steps: optimiser steps in a block; 0 makes one block of the epoch. Callbacks that want to be called at every
            step need 1.
    """

    def __init__(self, reader: Reader, order: BatchOrder, position: Position, steps: int = 0) -> None:
        self.reader = reader
        self.order = order
        self.position = position
        self.steps = steps or len(order)

    def __len__(self) -> int:
        """Blocks in a whole epoch."""
        return -(-len(self.order) // self.steps)

    def __iter__(self) -> Iterator[Block]:
        position = self.position
        batches = self.reader.epoch(position.epoch, position.step)
        for block in range(self.blocks_done, len(self)):
            end = min((block + 1) * self.steps, len(self.order))
            yield islice(batches, end - position.step)

    @property
    def blocks_done(self) -> int:
        """Blocks of the current epoch that lie behind the position.

        The last one never does: a run that stopped after the last step of an epoch and before its validation comes
        back to an empty block, after which Lightning validates.
        """
        return min(self.position.step // self.steps, len(self) - 1)


class EvaluationBlock:
    """All batches of a set as the one block of a validation pass."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Block]:
        yield self.reader.epoch(0)
