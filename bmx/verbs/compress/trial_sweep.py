"""Joint search over several kept fractions: a sweep of ``bmx compress`` inside the directory of the search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bmx.config.quoting import quoted
from bmx.errors import Interrupted, RunFailed
from bmx.sweep import job_status
from bmx.sweep.job import JOBS
from bmx.sweep.job_status import JobState
from bmx.sweep.workers import latency
from bmx.sweep.workers.child import Spec
from bmx.sweep.workers.exit_status import INTERRUPTED

_ROOT = "trial"
_CONF = "conf"  # not the sweep's own directory: folders next to a root configuration, as plots/, become config groups
_LADDER = 8  # largest number of trials with equal fractions
_POLL = 0.2  # seconds


@dataclass(frozen=True)
class TrialSweep:
    """A constrained search over several fractions by TPE.

    It is what ``bmx compress -m sweeper=tpe`` does, with the same parallel jobs, leaderboard, and resumption after a
    kill; its output is in ``job.log``.

    Attributes:
        cfg: of each trial, except for the fractions.
        folder: of the sweep.
        least: the smallest value of each fraction, by its key.
        objective: what to minimise or maximise, and the bound, as ``objective=`` takes them.
        trials: number of trials.
        jobs: number of parallel jobs, or ``auto``.
    """

    cfg: DictConfig
    folder: Path
    least: Mapping[str, float]
    objective: tuple[str, ...]
    trials: int
    jobs: str = "auto"

    def run(self) -> Iterator[tuple[Path, dict[str, float], JobState]]:
        """Runs the missing trials; yields each ended trial's directory, fractions and state.

        Raises:
            Interrupted: the sweep was stopped.
            RunFailed: the sweep failed.
        """
        told: set[Path] = set()
        process = self._start()
        try:
            while process.poll() is None:
                time.sleep(_POLL)
                yield from self._ended(told, running=True)
        except BaseException:  # Ctrl-C does not reach a session of its own
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        yield from self._ended(told, running=False)
        if process.returncode in (INTERRUPTED, -signal.SIGINT):
            raise Interrupted("stopped while it searched")
        # Exit status 1: some trials failed; the others may still meet the target.
        if process.returncode not in (0, 1) or not told:
            reason = job_status.last_line(self.folder) or f"exit code {process.returncode}"
            raise RunFailed(f"the search failed: {reason}", str(self.folder / job_status.LOG), "see its last lines")

    def _start(self) -> subprocess.Popen[str]:
        conf = self.folder / _CONF
        conf.mkdir(parents=True, exist_ok=True)
        root = "defaults: [_self_, {hydra: bmx}]\n" + OmegaConf.to_yaml(self.cfg, resolve=True)
        (conf / f"{_ROOT}.yaml").write_text(root, encoding="utf-8")
        log = str((self.folder / job_status.LOG).resolve())
        spec = Spec(call="bmx.__main__:main", arguments=[self.words()], log=log, env={}, threads=0)
        command = [sys.executable, "-m", "bmx.sweep.workers.child", str(os.getpid())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
        return process

    def words(self) -> list[str]:
        """The command line of the sweep, after ``bmx``."""
        where = self.folder.resolve()
        return [
            "compress",
            "-m",
            f"--config-dir={where / _CONF}",
            f"--config-name={_ROOT}",
            "hydra/sweeper=tpe",
            f"hydra.sweeper.trials={self.trials}",
            f"hydra.sweeper.seed={self.cfg.seed}",
            f"hydra.sweeper.objective=[{','.join(self.objective)}]",
            f"hydra.sweeper.first=[{','.join(self._first())}]",
            f"hydra.launcher.jobs={self.jobs}",
            f"hydra.sweep.dir={quoted(str(where))}",
            "engines=[]",
            *(f"{key}=tag(log,interval({low},1.0))" for key, low in self.least.items()),
        ]

    def _first(self) -> Iterator[str]:
        """First trials: equal fractions, which together keep 1/2, 1/4, 1/8, ...."""
        for halvings in range(1, 1 + min(_LADDER, max(2, 3 * self.trials // 4))):
            left = 0.5 ** (halvings / len(self.least))
            yield "{" + ",".join(f"{key}: {max(left, low):.6g}" for key, low in self.least.items()) + "}"

    def _ended(self, told: set[Path], running: bool) -> Iterator[tuple[Path, dict[str, float], JobState]]:
        for run in sorted((self.folder / JOBS).glob("*")):
            if run in told or (end := job_status.read(run)).state not in ("done", "failed", "refused"):
                continue
            if running and self._is_timed and end.state == "done" and not latency.known(end):
                continue  # its latency is about to be measured
            told.add(run)
            yield run, self._kept(run), end

    @property
    def _is_timed(self) -> bool:
        return any("cost/latency" in one for one in self.objective)

    def _kept(self, run: Path) -> dict[str, float]:
        """The fractions of a trial, from the overrides that Hydra recorded."""
        file = run / ".hydra" / "overrides.yaml"
        words = [str(word).partition("=") for word in OmegaConf.load(file)] if file.exists() else []
        return {key: float(value) for key, _, value in words if key in self.least}
