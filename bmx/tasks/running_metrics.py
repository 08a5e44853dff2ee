"""Running sums of loss and score, kept on the device until they are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bmx.distributed.ranks import Ranks


@dataclass
class Totals:
    """Sums over samples of loss and score, and the number of samples."""

    loss: float = 0.0
    score: float = 0.0
    n: int = 0

    def add(self, loss: float, score: float, n: int) -> None:
        self.loss += loss * n
        self.score += score
        self.n += n

    @property
    def mean_loss(self) -> float:
        return self.loss / self.n if self.n else math.nan


@dataclass
class RunningSums:
    """Totals of the current log window and of the current epoch.

    :meth:`add` only stores device tensors; :meth:`flush` reads them in one transfer. The sums are added up one step at
    a time in the order of the steps, so they do not depend on when they are read: a resumed run prints the same digits
    as an uninterrupted one.
    """

    window: Totals = field(default_factory=Totals)
    epoch: Totals = field(default_factory=Totals)
    # Over the ranks of a run: from losses and scores of the steps here to those of the whole batches.
    reduce: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    _losses: list[Tensor] = field(default_factory=list)
    _scores: list[Tensor] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)

    def add(self, loss: Tensor, score: Tensor, n: int) -> None:
        """Stores the mean loss and the score sum of one step over ``n`` samples."""
        self._losses.append(loss)
        self._scores.append(score)
        self._counts.append(n)

    def flush(self) -> int | None:
        """Reads what is pending.

        Returns:
            None if every loss was finite, else how many of the pending steps came after the first bad one.
        """
        if not self._counts:
            return None
        found = torch.stack(self._losses), torch.stack(self._scores)
        losses, scores = (t.tolist() for t in (found if self.reduce is None else self.reduce(*found)))
        counts = self._counts
        self._losses, self._scores, self._counts = [], [], []
        for i, (loss, score, n) in enumerate(zip(losses, scores, counts, strict=True)):
            if not math.isfinite(loss):
                return len(losses) - 1 - i
            self.window.add(loss, score, n)
            self.epoch.add(loss, score, n)
        return None

    def gather(self, ranks: Ranks, total: int, device: torch.device) -> None:
        """Puts what is pending on all ranks in the place of what is pending here, in the order of the batches.

        Args:
            ranks: rank r has batches r, r + count, ...
            total: batches of all of them.
            device: where ranks exchange numbers.
        """
        own = [(float(a), float(b), n) for a, b, n in zip(self._losses, self._scores, self._counts, strict=True)]
        rows = ranks.interleaved(torch.tensor(own, dtype=torch.float64, device=device).reshape(-1, 3), total)
        self._losses, self._scores = list(rows[:, 0]), list(rows[:, 1])
        self._counts = [int(n) for n in rows[:, 2].tolist()]

    def state_dict(self) -> dict[str, list[float]]:
        """The sums read so far; call :meth:`flush` first."""
        return {name: [t.loss, t.score, t.n] for name, t in (("window", self.window), ("epoch", self.epoch))}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.window, self.epoch = (
            Totals(float(loss), float(score), int(n)) for loss, score, n in (state["window"], state["epoch"])
        )
