"""Hydra's door to bmx's sweeps: a grid, or a search."""

from __future__ import annotations

from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Planned(Sweeper):
    """Runs what ``bmx.sweep.planning`` has planned from the same settings before anything was written."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from bmx.sweep.run_planned import sweep

        assert self.config is not None
        return sweep(self.config, self.launcher)


class GridSweeper(_Planned):
    """Every combination of the listed values; its settings are in ``conf/hydra/sweeper/grid.yaml``."""


class SearchSweeper(_Planned):
    """A search with Optuna; its settings are in ``conf/hydra/sweeper/tpe.yaml`` and its neighbours."""
