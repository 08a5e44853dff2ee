"""A job of a sweep: its overrides, config hash, and run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

JOBS = "jobs"
"""Folder of a sweep that holds the run directories of its jobs."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        key: hash of the resolved configuration, see :func:`bmx.sweep.config_hash.job_key`.
        words: the overrides it runs with, without Hydra's own.
        point: the swept keys and their values as text, without the seed.
        seed: the seed, if it is swept.
        epochs: passes over the training set, for the time left; 0 if the verb has none.
    """

    key: str
    words: tuple[str, ...]
    point: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    epochs: int = 0

    def run_dir(self, sweep: Path) -> Path:
        """The run directory inside the sweep's."""
        return sweep / JOBS / self.key

    @property
    def label(self) -> str:
        """The swept values in a line, for display."""
        said = [f"{key}={value}" for key, value in self.point.items()]
        return " ".join([*said, *([f"seed={self.seed}"] if self.seed is not None else [])]) or "as configured"
