"""Hydra callback between composing and running: checks, then creates the run directory, before Hydra writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from bmx.cli.run_setup import prepare_run, prepare_sweep, preview, refuse_preview
from bmx.config.invocation import current
from bmx.errors import BmxError
from bmx.targets.entry_point import locate


class Stop(BaseException):
    """Aborts a call from inside a callback, where Hydra turns every ``Exception`` into a warning and goes on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Answered(BaseException):
    """Ends a call that was only a query: there is nothing to run and nothing to write."""


class RunCallback(Callback):
    """Checks a composed configuration and sets its directory for Hydra; registered in ``conf/hydra/bmx.yaml``."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Called once a run is composed and before it has a directory."""
        invocation = current()
        if invocation is None:
            return
        try:
            if preview(config, invocation):
                raise Answered
            prepare_run(config, invocation)
        except Exception as error:
            raise Stop(error) from error

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called once a sweep is composed and before it has a directory."""
        invocation = current()
        if invocation is None:
            return
        try:
            refuse_preview(config, invocation)
            prepare_sweep(config, invocation)
        except Exception as error:
            raise Stop(error) from error

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Called when the jobs of a sweep have ended: calls the verb's ``report``, if any."""
        invocation = current()
        if invocation is None or not invocation.verb.report:
            return
        try:
            locate(invocation.verb.report)(Path(str(config.hydra.sweep.dir)), config)
        except BmxError as error:  # the jobs are done, even if their summary fails
            print("\n".join(error.lines()), file=sys.stderr)
