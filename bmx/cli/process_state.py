"""Leaves the process as it was found, so that ``main`` can be called again and again in one process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import TextIO

from bmx.caller_state import composing, one_run
from bmx.targets.standing import standing_kept

# The loggers that conf/hydra/*_logging/bmx.yaml sets up.
_LOGGERS = ("", "bmx", "hydra", "hydra_plugins")


@contextmanager
def restored() -> Iterator[None]:
    """Put back what a run changes in its process, logging and Hydra's global state; other threads wait meanwhile."""
    with one_run(), composing():
        try:
            with _logging_kept(), standing_kept():
                yield
        finally:
            if "hydra.core.global_hydra" in sys.modules:
                from hydra.core.global_hydra import GlobalHydra

                GlobalHydra.instance().clear()


@contextmanager
def hydra_raises() -> Iterator[None]:
    """Have Hydra raise, where it would print and exit."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def stderr_into(file: TextIO | None) -> redirect_stderr[TextIO] | nullcontext[None]:
    """Send standard error into a file; None leaves it where it goes."""
    return nullcontext() if file is None else redirect_stderr(file)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Put handlers, levels and propagation back, and close what was opened meanwhile."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            for handler in logger.handlers:
                if handler not in handlers:
                    handler.close()
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate


@contextmanager
def own_hydra_config() -> Iterator[None]:
    """While it lasts nothing is known of another Hydra's command, whose choices would be recorded as the run's."""
    from hydra.core.hydra_config import HydraConfig

    instance = HydraConfig.instance()
    before, instance.cfg = instance.cfg, None
    try:
        yield
    finally:
        instance.cfg = before
