"""The plan of a sweep, made and checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.config.many import Composer
from bmx.config.quoting import quoted, written
from bmx.runs.report.commands import command
from bmx.sweep.config_hash import job_key, latest_runs
from bmx.sweep.grid import SEED, Words
from bmx.sweep.job import Job
from bmx.sweep.objective import Objective
from bmx.sweep.workers.processes import Fresh, Nursery, make_starter


@dataclass
class Plan:
    """A checked sweep: its overrides, objectives and jobs, and how they are run.

    Attributes:
        verb: the verb that the jobs run as.
        words: the overrides of the command line, split into fixed and swept ones.
        composer: composes the jobs.
        flags: flags that each job gets, such as ``--config-dir=...``.
        passed_on: overrides of Hydra's settings that each job gets.
        objectives: what the sweep optimises.
        bounds: constraints that the best result has to satisfy.
        outputs: the outputs folder.
        resumes: whether the verb can resume an interrupted run.
        modules: modules that the jobs import.
        identity: hash that identifies the sweep.
        command: the command line as it was typed.
        first: for a search, the initial points.
        asked: for a search, the hash of the request, before values that cannot run are excluded.
        left_out: for a search, the values that cannot run, by their keys.
        notes: messages shown before the first job.
    """

    verb: str
    words: Words
    composer: Composer
    flags: tuple[str, ...]
    passed_on: tuple[str, ...]
    objectives: list[Objective]
    outputs: Path
    resumes: bool
    modules: tuple[str, ...]
    identity: str = ""
    command: str = ""
    found: bool = False
    bounds: list[Objective] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    space: Any = None
    first: list[dict[str, Any]] = field(default_factory=list)
    asked: str = ""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    _starter: Nursery | Fresh | None = None

    def starter(self, fork: bool | str = "auto") -> Nursery | Fresh:
        """The process starter; created on first use, so that its imports run while jobs are composed."""
        if self._starter is None or getattr(self._starter, "broken", False):
            self._starter = make_starter(fork, self.modules)
        return self._starter

    def close(self) -> None:
        """Ends the started processes."""
        if self._starter is not None:
            self._starter.close()
            self._starter = None

    def job_words(self, point: Mapping[str, str], seed: int | None) -> tuple[str, ...]:
        """The overrides of one job."""
        seeded = () if seed is None else (f"{SEED}={seed}",)
        return (*self.words.defaults, *self.words.fixed, *(f"{key}={value}" for key, value in point.items()), *seeded)

    def job(self, point: Mapping[str, str], seed: int | None) -> tuple[Job, DictConfig]:
        """A job and its composed configuration."""
        words = self.job_words(point, seed)
        config = self.composer.compose((*words, *self.passed_on))
        # By the time the job begins, another run may be the latest.
        words += tuple(f"{key}={written(run)}" for key, run in latest_runs(config).items())
        epochs = config.get("epochs")
        known = epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else 0
        return Job(job_key(self.verb, config), words, dict(point), seed, known), config

    def each_seed(self, points: Iterable[Mapping[str, str]]) -> list[tuple[Mapping[str, str], int | None]]:
        """Every point with every seed; all points once before any is repeated."""
        found = list(points)
        return [(point, seed) for seed in (self.words.seeds or (None,)) for point in found]

    def arguments(self, job: Job, run: Path, resume: bool) -> list[str]:
        """The command line of a job in its directory, after ``bmx``."""
        where = quoted(str(run.resolve()))
        resumed = [f"resume={where}"] if resume else []
        words = [*self.flags, *job.words, *self.passed_on, f"hydra.run.dir={where}", *resumed]
        return [self.verb, *words]

    def again(self, job: Job) -> str:
        """The command that repeats a job as a run of its own."""
        words = [word for word in job.words if word not in self.words.defaults]
        return command(self.verb, self.flags, [*words, *self.passed_on])


def unique(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, without repeated configurations."""
    return list({job.key: job for job in reversed(jobs)}.values())[::-1]
