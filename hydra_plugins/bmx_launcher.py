"""Hydra's door to bmx's pool of processes; imports nothing that Hydra's scan of the plugins would have to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BmxLauncher(Launcher):
    """Runs the jobs of a sweep in processes of their own, several at a time.

    The arguments are the keys of ``conf/hydra/launcher/bmx.yaml``.
    """

    def __init__(
        self,
        jobs: int | str = "auto",
        jobs_per_gpu: int = 1,
        on_error: str = "continue",
        timeout: float | str | None = None,
        retries: int = 0,
        fork: bool | str = "auto",
    ) -> None:
        self.jobs = jobs
        self.jobs_per_gpu = jobs_per_gpu
        self.on_error = on_error
        self.timeout = timeout
        self.retries = retries
        self.fork = fork
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def pool(self, plan: Any, sweep: Path) -> Any:
        """The pool that runs a plan's jobs."""
        from bmx.sweep.workers.launching import make_pool

        assert self.config is not None
        return make_pool(plan, sweep, self.options, self.config)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments, as :func:`bmx.sweep.workers.launching.rules` reads them."""
        names = ("jobs", "jobs_per_gpu", "on_error", "timeout", "retries", "fork")
        return {name: getattr(self, name) for name in names}

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs of a sweeper that is not bmx's own."""
        from bmx.sweep.foreign import launch

        assert self.config is not None and self.hydra_context is not None
        return launch(self, self.config, self.hydra_context, job_overrides, initial_job_idx)
