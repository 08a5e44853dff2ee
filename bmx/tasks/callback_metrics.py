"""The numbers of a run under the names that callbacks look for: bmx's own, and those that Lightning's users write."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_SHORT = {"accuracy": ("acc",)}
"""Other names of a score."""


def names_of(name: str) -> list[str]:
    """A metric's name and its synonyms: ``val/accuracy``, ``val_accuracy``, ``val_acc``."""
    part, _, kind = name.partition("/")
    return [name, *(f"{part}_{word}" for word in (kind, *_SHORT.get(kind, ())))]


def known_names(score_name: str, validates: bool) -> list[str]:
    """Every name that a callback may follow, bmx's own names first."""
    names = [f"{part}/{kind}" for part in (["val"] if validates else []) + ["train"] for kind in ("loss", score_name)]
    return names + [other for name in names for other in names_of(name)[1:]]


def by_every_name(row: Mapping[str, float | int | str]) -> dict[str, Tensor]:
    """The numbers of a row as scalars under each of their names."""
    return {
        other: torch.tensor(float(value), dtype=torch.float64)
        for name, value in row.items()
        for other in names_of(name)
    }


def step_metrics(prefix: str, score_name: str, loss: Tensor, score: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Loss and score of a step under each of their names, where they were computed: nobody waits for the device."""
    mean = score / len(targets)
    values = {"loss": loss, score_name: mean.sqrt() if score_name == "rmse" else mean}
    return {name: value for kind, value in values.items() for name in names_of(f"{prefix}/{kind}")}
