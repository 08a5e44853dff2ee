"""Starts the other processes of a run, and sees how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bmx.errors import BmxError, RunFailed
from bmx.files.shown import shown

FOLDER = "ranks"
"""Where the output of the other ranks is, in the run directory."""

# How long ranks may take to end once rank 0 has; they have nothing left to do by then.
_PATIENCE_SECONDS = 60
# How long the end of a rank that broke the connection is waited for, to name the one that died first.
_SETTLING_SECONDS = 5
_LAST_LINES = 8


@contextmanager
def started(verb: str, run_dir: Path, count: int, threads: int) -> Iterator[None]:
    """While it lasts, this process is rank 0 of ``count``; the others run in processes of their own.

    They read the configuration that the run directory holds by then, and end with this process however it ends.

    Args:
        verb: what the ranks run.
        run_dir: the run directory.
        count: processes of the run, this one included.
        threads: of each for an operation on the CPU.

    Raises:
        RunFailed: another rank has died; with its last lines.
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count), "NODE_RANK": "0"}
    before = {name: os.environ.get(name) for name in (*shared, "LOCAL_RANK")}
    (run_dir / FOLDER).mkdir(exist_ok=True)
    processes = [_start(rank, verb, run_dir, shared, threads) for rank in range(1, count)]
    os.environ.update(shared, LOCAL_RANK="0")
    try:
        yield
        _wait(processes, run_dir)
    except Exception as error:
        died = None if isinstance(error, BmxError) else _died(processes, run_dir, _SETTLING_SECONDS)
        if died is None:
            raise
        raise died from error
    finally:
        for process in processes:
            process.kill()
            process.wait()
        _leave_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(rank: int, verb: str, run_dir: Path, shared: dict[str, str], threads: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, **shared, "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(threads)}
    with log_of(run_dir, rank).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bmx", "_rank", verb, str(run_dir), str(os.getpid())],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def log_of(run_dir: Path, rank: int) -> Path:
    """What a rank other than 0 has said."""
    return run_dir / FOLDER / f"{rank}.log"


def _wait(processes: list[subprocess.Popen[bytes]], run_dir: Path) -> None:
    for process in processes:
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            continue  # killed below: the model is saved
    died = _died(processes, run_dir)
    if died is not None:
        raise died


def _died(processes: list[subprocess.Popen[bytes]], run_dir: Path, patience: float = 0) -> RunFailed | None:
    """The error of the first rank that did not end well; None if there is none."""
    for rank, process in enumerate(processes, 1):
        try:
            code = process.wait(patience) if patience else process.poll()
        except subprocess.TimeoutExpired:
            continue
        if code:
            said = log_of(run_dir, rank).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = "\n  ".join(said[-_LAST_LINES:])
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            fix = f"go on from the last checkpoint with resume={shown(run_dir)}"
            return RunFailed(f"rank {rank} {how}", shown(log_of(run_dir, rank)) + (f"\n  {last}" if last else ""), fix)
    return None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _leave_group() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
