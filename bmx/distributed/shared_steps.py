"""One rank's part of the steps that all ranks make together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bmx.distributed.order import SharedOrder
from bmx.distributed.ranks import Ranks, seed_step

# From a raw batch to its mean loss, to be differentiated, and its score sum.
BatchLoss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# Steps between two moments at which ranks compare their sums; a stop or a checkpoint waits for the next one.
TOGETHER_EVERY = 10


class SharedSteps:
    """What a rank computes of each step, and when ranks exchange more than gradients.

    Args:
        order: this rank's part of each batch.
        seed: of the run.
        validation_batches: batches of the validation set, of all ranks.
    """

    def __init__(self, order: SharedOrder, seed: int, validation_batches: int) -> None:
        self.order = order
        self.seed = seed
        self.validation_batches = validation_batches

    @property
    def ranks(self) -> Ranks:
        """This rank among its fellows."""
        return self.order.ranks

    def part(self, batch_loss: BatchLoss, batch: int, step: int, device: torch.device) -> tuple[BatchLoss, int]:
        """The loss of this rank's part of a batch, and the samples of the whole batch.

        Ranks average their gradients, so a part counts by its share of the batch; one with nothing of it counts 0.

        Args:
            batch_loss: from raw inputs and targets to mean loss and score sum.
            batch: its number in the epoch.
            step: steps that the run has made.
            device: where to compute; its random numbers are seeded for this step and rank.
        """
        own, whole = self.order.counted(batch)
        seed_step(self.ranks.seed(self.seed, step), device)

        def loss_of_part(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            loss, score = batch_loss(inputs, targets)
            return loss * (own * self.ranks.count / whole), score * (own > 0)

        return loss_of_part, whole

    def compare(self, steps_done: int) -> bool:
        """Whether ranks compare their sums after this step: the same steps on each."""
        return steps_done % TOGETHER_EVERY == 0
