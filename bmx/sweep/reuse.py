"""Reuses results of earlier sweeps with the same configuration and the same code."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from bmx.runs.provenance import facts
from bmx.sweep import job_status
from bmx.sweep.directory import earlier_jobs
from bmx.sweep.workers import locks


def take_over(sweep: Path, outputs: Path, key: str) -> bool:
    """Links a job's directory to a finished one of an earlier sweep; whether there was one.

    The same code is the same version of bmx and of torch and the same commit of the current folder, without changes.
    """
    run = sweep / "jobs" / key
    if run.exists() and job_status.read(run).state != "missing":
        return False
    for earlier in earlier_jobs(outputs, key, sweep):
        found = job_status.read(earlier)
        if found.state == "done" and same_code(found.result):
            _link(run, earlier)
            return run.exists()
    return False


def same_code(result: dict[str, Any]) -> bool:
    """Whether a result was made by the current code."""
    now, then = facts(), result
    versions = then.get("versions") or {}
    if any(versions.get(name) != now["versions"].get(name) for name in ("bmx", "torch")):
        return False
    git = now["git"]
    return git == then.get("git") and (git is None or not git.get("dirty"))


def _link(run: Path, earlier: Path) -> None:
    run.parent.mkdir(parents=True, exist_ok=True)
    if run.is_dir() and not run.is_symlink():
        claim = locks.take(run)
        if claim is None:
            return
        with claim, contextlib.suppress(OSError):
            (run / locks.CLAIM).unlink(missing_ok=True)
            (run / job_status.LOG).unlink(missing_ok=True)
            run.rmdir()
    with contextlib.suppress(FileExistsError):
        run.symlink_to(os.path.relpath(earlier, run.parent), target_is_directory=True)
