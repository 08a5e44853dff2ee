"""Finished jobs of a sweep directory, and the overrides that distinguish them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bmx.errors import UsageError
from bmx.runs import result as results

# Hydra's own sweeper numbers the jobs in the directory itself, bmx's keeps them in jobs/.
_JOBS = ("*/result.json", "jobs/*/result.json")


def done_jobs(sweep: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The directory and the result of each job that is done, by name."""
    for folder in sorted({file.parent for pattern in _JOBS for file in sweep.glob(pattern)}):
        try:
            result = results.read(folder)
        except UsageError:  # a job that never started, or a folder of something else
            continue
        if result.get("status") == "done":
            yield folder, result


def told_apart(jobs: Sequence[Sequence[str]]) -> list[list[str]]:
    """The overrides of each job that not all jobs have in common, in its own order."""
    return [[word for word in words if any(word not in other for other in jobs)] for words in jobs]
