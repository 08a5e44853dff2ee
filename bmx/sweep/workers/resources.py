"""Detects CPU cores, memory and GPUs, and divides them among concurrent jobs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bmx.errors import UsageError

# Memory of a forked job of a small model, with a margin; measured jobs of LeNet-5 take half of it.
BYTES_PER_JOB = 768 << 20


@dataclass(frozen=True)
class Slot:
    """The resources of one concurrent job.

    Attributes:
        threads: intra-op CPU threads.
        gpu: the value of CUDA_VISIBLE_DEVICES; None leaves it unchanged.
    """

    threads: int
    gpu: str | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that restrict a job to its resources."""
        return {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu}


def slots(jobs: int | str = "auto", per_gpu: int = 1, device: str = "auto", ranks: int = 1) -> list[Slot]:
    """The slots for concurrent jobs on this machine.

    Args:
        jobs: how many at a time; ``auto`` takes one a core on the CPU and ``per_gpu`` a GPU, as far as memory allows.
        per_gpu: jobs that share a GPU.
        device: the ``device`` of the jobs; ``cpu`` leaves the GPUs unused.
        ranks: processes of each job, which have a GPU each or share the job's cores.

    Cores are divided among the jobs, and no job gets more threads than OMP_NUM_THREADS says.

    Raises:
        UsageError: jobs is neither ``auto`` nor a positive integer.
    """
    if jobs != "auto" and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise UsageError(f"jobs must be a whole number, 1 or more, or auto, not {jobs!r}", f"jobs={jobs}", "jobs=auto")
    each = gpus() if device == "auto" or device.startswith("cuda") else []
    found = [",".join(each[i : i + ranks]) for i in range(0, len(each) - ranks + 1, ranks)]
    available = cores()
    if jobs == "auto":
        most = len(found) * max(1, per_gpu) if found else max(1, available // ranks)
        count = max(1, min(most, memory() // (BYTES_PER_JOB * ranks)))
    else:
        count = int(jobs)
    threads = max(1, min(available // count, _most_threads(available)))
    return [Slot(threads, found[i % len(found)] if found else None) for i in range(count)]


def _most_threads(available: int) -> int:
    """The most threads that OMP_NUM_THREADS allows; all if it is not set."""
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(text) if text.isdecimal() and int(text) else available


def cores() -> int:
    """Cores that this process may use: by its affinity, and by a container's CPU quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        count = min(count, max(1, int(quota) // int(period)))
    return count


def memory() -> int:
    """Bytes available without swapping; a container's limit counts."""
    free = 8 << 30
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    return min(free, max(0, int(limit) - int(used))) if limit.isdigit() and used.isdigit() else free


def gpus() -> list[str]:
    """The CUDA devices as in CUDA_VISIBLE_DEVICES, found without CUDA, whose use would prevent forking."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [name.strip() for name in said.split(",") if name.strip() and name.strip() != "-1"]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return (
        [line.strip() for line in listed.stdout.splitlines() if line.strip().isdigit()] if not listed.returncode else []
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
