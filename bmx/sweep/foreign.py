"""Runs the jobs of a sweeper that is not bmx's own, such as Hydra's basic one, in bmx's pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from bmx.config.compose import job_config
from bmx.config.invocation import current
from bmx.config.many import Composer
from bmx.config.verbs import VERBS
from bmx.sweep import objective
from bmx.sweep.grid import Words
from bmx.sweep.job import Job
from bmx.sweep.leaderboard.finish import gather
from bmx.sweep.plan import Plan
from bmx.sweep.run_jobs import Grid, run_pool
from bmx.sweep.workers.launching import make_pool


class _Placed(Job):
    """A job whose directory is set by its sweeper."""

    def run_dir(self, sweep: Path) -> Path:
        return sweep / self.key


def launch(
    launcher: Any, config: DictConfig, context: HydraContext, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Runs a batch of jobs; each return value is the objective, or NaN where the job failed."""
    invocation = current()
    assert invocation is not None
    plan = invocation.plan or _plan(invocation, context)
    invocation.plan = plan
    sweep, jobs, configs = Path(str(config.hydra.sweep.dir)).resolve(), [], []
    for number, overrides in enumerate(job_overrides, first):
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        configs.append(composed)
        typed = filter_overrides(overrides)
        keys = {word.partition("=")[0].lstrip("+~") for word in typed}
        own = [word for word in invocation.verb.job_words if word.partition("=")[0] not in keys]
        words = (*own, *typed)
        jobs.append(_Placed(str(composed.hydra.sweep.subdir), words, {"job": str(number)}))
    pool = make_pool(plan, sweep, launcher.options, config)
    interrupted = run_pool(pool, Grid(list(jobs)), plan, sweep, len(jobs))
    ended = gather(plan, sweep, jobs)
    objectives = objective.settle(plan.objectives, [end.result for _, _, end in ended])
    returns = []
    for (_, run, end), overrides, composed in zip(ended, job_overrides, configs, strict=True):
        done = end.state == "done"
        value = objective.value(run, end.result, objectives[0]) if done else None
        returned = JobReturn(list(overrides), job_config(composed), composed, str(run), invocation.asked.verb)
        returned.status, returned.return_value = JobStatus.COMPLETED, float("nan") if value is None else value
        returns.append(returned)
        invocation.codes.append(0 if done else 1)
        if not done:
            invocation.failed.append(str(run))
    if interrupted:
        raise KeyboardInterrupt
    return returns


def _plan(invocation: Any, context: HydraContext) -> Plan:
    asked = invocation.asked
    verb = VERBS[asked.verb].jobs or asked.verb
    root = asked.config if asked.config != VERBS[asked.verb].config else VERBS[verb].config
    flags = [("--config-dir", invocation.config_dir), ("--config-path", invocation.config_path)]
    flags += [("--config-name", root if root != VERBS[verb].config else None)]
    return Plan(
        verb=verb,
        words=Words((), ()),
        composer=Composer(context.config_loader, root),
        flags=tuple(f"{flag}={value}" for flag, value in flags if value),
        passed_on=(),
        objectives=[objective.AUTO],
        outputs=Path("outputs"),
        resumes=VERBS[verb].resumes,
        # Composing is three times as fast once the grammar's tables have been filled.
        modules=(VERBS[verb].target.partition(":")[0], f"bmx.config.compose:compose:{verb}"),
    )
