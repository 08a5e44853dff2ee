"""Detects multi-process launchers (torchrun, mpirun, srun), which bmx rejects: it starts a run's processes itself."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bmx.errors import UsageError

# Variables with the number of processes, and those that only a copy has. SLURM's batch script is no copy: srun's are.
_LAUNCHERS = (
    ("WORLD_SIZE", ("LOCAL_RANK", "RANK"), "torchrun"),
    ("OMPI_COMM_WORLD_SIZE", ("OMPI_COMM_WORLD_RANK",), "mpirun"),
    ("PMI_SIZE", ("PMI_RANK",), "mpirun"),
    ("SLURM_STEP_NUM_TASKS", ("SLURM_PROCID",), "srun"),
    ("SLURM_NTASKS", ("SLURM_STEP_ID", "SLURM_STEPID"), "srun"),
)


def refuse_copies(environ: Mapping[str, str] = os.environ) -> None:
    """Raise UsageError in a process that is one of several copies of the same command."""
    for size, ranks, launcher in _LAUNCHERS:
        count, rank = environ.get(size, ""), next((name for name in ranks if name in environ), None)
        if count.isdigit() and int(count) > 1 and rank is not None:
            what = f"{launcher} starts {count} copies of this command, and bmx starts its own"
            fix = f"run it once, without the launcher: devices={count} shares a training, bmx sweep spreads many runs"
            raise UsageError(what, f"the environment: {size}={count} {rank}={environ[rank]}", fix)
