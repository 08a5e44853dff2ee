"""SLURM support: maps a job to its run, so that a requeued job resumes it.

SLURM starts a requeued job with the command it was submitted with. ``<outputs>/.slurm/<job>`` stores the run directory
that the job made the first time.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bmx.files.atomic import replacing
from bmx.runs import result as results


def job_id() -> str | None:
    """The id that ``scontrol requeue`` takes: of this job, or of this task of a job array; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if array and task:
        return f"{array}_{task}"
    return os.environ.get("SLURM_JOB_ID")


def remember(outputs: Path, run: Path) -> None:
    """Notes that this SLURM job is making ``run``; nothing outside SLURM."""
    job = job_id()
    if job is None:
        return
    note = outputs / ".slurm" / job
    with replacing(note) as file:
        file.write(str(run.resolve()))


def remembered(outputs: Path) -> Path | None:
    """The unfinished run that an earlier start of this SLURM job was making, or None."""
    job = job_id()
    if job is None or not int(os.environ.get("SLURM_RESTART_COUNT") or 0):
        return None
    try:
        run = Path((outputs / ".slurm" / job).read_text())
        return run if results.read(run).get("status") != "done" else None
    except Exception:  # no note, or the run is gone: the job starts afresh
        return None


def requeue() -> str:
    """Requeues this SLURM job; returns the outcome as a line of text."""
    job = job_id()
    if job is None:
        return "not requeued: this is not a SLURM job"
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"not requeued: {error}"
    return f"SLURM job {job} requeued" if done.returncode == 0 else f"not requeued: {done.stderr.strip()}"
