"""Starts bmx in a process tree that can be found again, and ends it the hard way."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class Tree:
    """A command line of bmx with everything that it starts."""

    def __init__(self, work: Path, *words: str, **environment: str) -> None:
        self.mark = f"BMX_TEST_TREE={uuid.uuid4().hex}"
        key, _, value = self.mark.partition("=")
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", key: value, **environment}
        self.log = work / f"terminal-{value[:6]}.txt"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bmx", *words], cwd=work, env=env, stdout=out, stderr=out, start_new_session=True
            )

    def wait(self, seconds: float = 280) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def pids(self) -> list[int]:
        """Every living process of the tree."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self.mark.encode() in (entry / "environ").read_bytes() and not zombie(entry):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill(self) -> None:
        """kill -9 all of it at once."""
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        self.process.wait()

    def gone(self, seconds: float) -> bool:
        """Whether nothing of it lives, now or within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.pids():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def zombie(entry: Path) -> bool:
    """Whether a process is dead and only waits to be counted."""
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def until(true, seconds: float = 240.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
