"""Reads and writes the state of a job in its run directory."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bmx.errors import UsageError
from bmx.runs import result as results
from bmx.runs.finding import holds_run
from bmx.sweep.workers.locks import CLAIM

State = Literal["missing", "half", "done", "failed", "refused", "pruned"]
PRUNED = "pruned.json"
LOG = "job.log"


@dataclass(frozen=True)
class JobState:
    """The state of a job.

    Attributes:
        state: missing (never started), half (interrupted, or its process died), done, failed, refused (its
            configuration cannot run), pruned (stopped early by a search).
        result: its result.json; empty if there is none.
        reason: why it is not done.
    """

    state: State
    result: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def read(run: Path) -> JobState:
    """The state of the job in a run directory; only the job's lock shows whether it is running now."""
    if (run / PRUNED).exists():
        return JobState("pruned", _result(run), "no better than the others had been by then")
    if not holds_run(run):
        return JobState("missing")
    result = _result(run)
    status = result.get("status")
    reason = str(result.get("reason") or "")
    if status == "done":
        return JobState("done", result)
    if status == "failed":
        return JobState("refused" if result.get("refused") else "failed", result, reason)
    return JobState("half", result, reason)


def set_pruned(run: Path, epoch: int) -> None:
    """Records that a search pruned this job, so that it is not resumed."""
    (run / PRUNED).write_text(json.dumps({"epoch": epoch}) + "\n", encoding="utf-8")


def set_failed(run: Path, reason: str, refused: bool = False) -> None:
    """Records the failure of a job that could not do so itself: it was killed, took too long, or cannot run at all."""
    with contextlib.suppress(Exception):  # a full disk: the exit code still shows it
        run.mkdir(parents=True, exist_ok=True)
        more = {"refused": True} if refused else {}
        if not _result(run):
            results.write(run, {"status": "failed", "reason": reason, **more})
        else:
            results.finish(run, "failed", reason, **more)


def clear(run: Path) -> None:
    """Empties the directory of a job that has to start anew, except its lock, which is being held, and its log."""
    for entry in run.iterdir():
        if entry.name in (CLAIM, LOG):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def can_resume(run: Path) -> bool:
    """Whether a job can be resumed: it has its overrides and a checkpoint."""
    kept = run / ".hydra" / "overrides.yaml"
    return kept.is_file() and any((run / "checkpoints" / f).is_file() for f in ("last.ckpt", "previous.ckpt"))


def last_line(run: Path) -> str:
    """The error in a job's log: the line that bmx prints, else the last one."""
    try:
        text = (run / LOG).read_text(encoding="utf-8", errors="replace")[-8000:]
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("bmx: ") for line in lines if line.startswith("bmx: ")]
    return (told or lines or [""])[-1][:200]


def _result(run: Path) -> dict[str, Any]:
    try:
        return results.read(run)
    except UsageError:
        return {}
