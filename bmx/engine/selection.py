"""Best-epoch selection and early stopping by a validation metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Row = dict[str, float | int | str]


@dataclass
class Selection:
    """Tracks the validation metric over epochs.

    Args:
        metric: the deciding column, such as ``val/accuracy``; None (no validation set) makes the last epoch best.
        higher_is_better: its direction. Ties go to the lower ``val/loss``.
        patience: epochs without improvement before training ends; None never ends it.
    """

    metric: str | None
    higher_is_better: bool = True
    patience: int | None = None
    best_epoch: int = 0
    best_value: float = math.nan
    best_loss: float = math.inf
    waited: int = 0

    def update(self, row: Row) -> bool:
        """Adds the row of an epoch; True if it is the best so far."""
        if self.metric is None:
            self.best_epoch = int(row["epoch"])
            return True
        value, loss = float(row.get(self.metric, math.nan)), float(row.get("val/loss", math.nan))
        if self._better(value, loss):
            self.best_epoch, self.best_value, self.best_loss, self.waited = int(row["epoch"]), value, loss, 0
            return True
        self.waited += 1
        return False

    def _better(self, value: float, loss: float) -> bool:
        if math.isnan(value):
            return self.best_epoch == 0
        if math.isnan(self.best_value):
            return True
        if value == self.best_value:
            return loss < self.best_loss
        return value > self.best_value if self.higher_is_better else value < self.best_value

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "best_loss": self.best_loss,
            "waited": self.waited,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best_epoch, self.waited = int(state["best_epoch"]), int(state["waited"])
        self.best_value, self.best_loss = float(state["best_value"]), float(state["best_loss"])
