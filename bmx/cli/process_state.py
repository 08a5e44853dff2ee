"""Restores process state after a command, so that ``main`` can be called repeatedly in one process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import TextIO

from bmx.caller_state import composing, one_run
from bmx.targets.standing import standing_kept

# The loggers that conf/hydra/*_logging/bmx.yaml configures.
_LOGGERS = ("", "bmx", "hydra", "hydra_plugins")


@contextmanager
def restored() -> Iterator[None]:
    """Restores what a run changes in its process, logging and Hydra's global state; other threads wait meanwhile."""
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
    """Makes Hydra raise exceptions, where it would print them and exit."""
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
    """Redirects standard error to a file; None leaves it unchanged."""
    return nullcontext() if file is None else redirect_stderr(file)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Restores handlers, levels and propagation, and closes handlers opened meanwhile."""
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
    """Hides the configuration of another Hydra application, whose choices would be recorded as the run's."""
    from hydra.core.hydra_config import HydraConfig

    instance = HydraConfig.instance()
    before, instance.cfg = instance.cfg, None
    try:
        yield
    finally:
        instance.cfg = before
