"""Resolves a sweep to its best job, where a single run is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bmx.errors import UsageError
from bmx.runs import result as results

_told: set[Path] = set()


def is_sweep(path: Path) -> bool:
    """Whether a directory is that of a sweep."""
    return (path / "sweep.json").exists() or _result(path).get("verb") == "sweep"


def best_job(sweep: Path) -> Path:
    """The directory of a sweep's best job, with the best of its seeds.

    Raises:
        UsageError: it has none yet, or no metric to select by.
    """
    found = _result(sweep)
    names = [found.get("best_job"), *(found.get("best_runs") or [])]
    for name in filter(None, names):
        job = sweep / "jobs" / Path(str(name)).name  # wherever the sweep has been moved to
        if job.is_dir():
            return job
    running = found.get("status") == "running"
    fix = "wait for its end, or name one of its jobs" if running else "name one of its jobs: a folder in jobs/"
    raise UsageError("this sweep has no best job" + (" yet" if running else ""), str(sweep), fix)


def name_of(run: Path) -> str:
    """The name of a run: its parent folder, or that of its sweep."""
    sweep = run.parent.parent
    return sweep.parent.name if run.parent.name == "jobs" and is_sweep(sweep) else run.parent.name


def sweeps_over(sweep: Path) -> str:
    """The verb of a sweep's jobs; empty if that is not known."""
    import json

    try:
        return str(json.loads((sweep / "sweep.json").read_text(encoding="utf-8")).get("verb") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def tell(sweep: Path, job: Path) -> None:
    """Print, once, which job is taken; on standard error, which no program reads."""
    if job in _told:
        return
    _told.add(job)
    point = _result(sweep).get("best_point") or {}
    said = ", ".join(f"{key}={text}" for key, text in point.items()) if isinstance(point, dict) else ""
    label = f" ({said})" if said else ""
    print(f"{sweep.name} is a sweep: its best job is taken, {job.name}{label}", file=sys.stderr, flush=True)


def _result(path: Path) -> dict[str, Any]:
    try:
        return results.read(path)
    except UsageError:
        return {}
