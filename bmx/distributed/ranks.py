"""Which of the processes that train one model this is, and sums over all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """One process among those of a run.

    Args:
        rank: its number, from 0; rank 0 writes, shows and decides.
        count: processes of the run.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, first: int, end: int) -> tuple[int, int]:
        """The part of the samples ``first`` to ``end`` of a batch that is this rank's; empty for some of a small batch.

        The parts are consecutive, and their sizes differ by at most one.
        """
        size, rest = divmod(end - first, self.count)
        begin = first + self.rank * size + min(self.rank, rest)
        return begin, begin + size + (self.rank < rest)

    def reduced(self, losses: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Mean losses and summed scores of steps that every rank has made, both of shape (K,).

        The losses are those that gradients were computed from, each weighted by its rank's share of the batch.
        """
        both = torch.stack([losses.double() / self.count, scores.double()])
        dist.all_reduce(both)
        return both[0], both[1]

    def interleaved(self, rows: Tensor, total: int) -> Tensor:
        """Rows of all ranks in the order of the batches, where rank r has batches r, r + count, ...: (total, C)."""
        most = -(-total // self.count)
        padded = rows.new_zeros(most, rows.shape[1])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(found, padded)
        return torch.stack(found, 1).flatten(0, 1)[:total]

    def seed(self, seed: int, step: int) -> int:
        """Seeds what is random in a step: a rank that goes on after a stop needs no state from before it."""
        return ((seed << 32) + step * 4096 + self.rank) % 2**63


def seed_step(seed: int, device: torch.device) -> None:
    """Seeds the random numbers of one step on the CPU and on the device that computes.

    ``torch.manual_seed`` would ask every kind of device each time, which costs more than a small step does.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def current() -> Ranks:
    """This process as whoever started it has named it; the only one where nobody has."""
    count = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1
    return Ranks(int(os.environ["LOCAL_RANK"]), count) if count > 1 else Ranks()
