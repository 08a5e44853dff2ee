"""What stands in for `bmx train` in the tests of the pool: a job that does what its words say."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(argv: list[str]) -> int:
    """``[run directory, behaviour, ...]``"""
    run, behaviour = Path(argv[0]), argv[1]
    starts = run.parent / f"{run.name}.starts"  # beside it: a job that starts anew is cleared first
    with starts.open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')} {os.environ['OMP_NUM_THREADS']}\n")
    tries = len(starts.read_text().splitlines())
    write(run, "running")
    if behaviour == "raise":
        raise ValueError("no good")
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "usage":
        print("bmx: lr must be positive", file=sys.stderr)
        return 2
    if behaviour == "second" and tries == 1:
        os._exit(3)
    if behaviour == "forever":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "1000"])
        time.sleep(1000)
    if behaviour == "learns":
        rows = ["row,epoch,step,val/accuracy"]
        for epoch in range(1, 60):
            rows.append(f"epoch,{epoch},{epoch},{0.01 * epoch}")
            (run / "metrics.csv").write_text("\n".join(rows) + "\n")
            time.sleep(0.05)
    if behaviour == "together":
        while len(list(run.parent.glob("*.starts"))) < 2:
            time.sleep(0.02)
    if behaviour.startswith("sleep"):
        time.sleep(float(behaviour[5:]))
    print("said by the job")
    write(run, "done")
    return 0


def write(run: Path, status: str) -> None:
    (run / "result.json").write_text(json.dumps({"status": status, "metrics": {"val/accuracy": 0.5}, "seed": 0}))
