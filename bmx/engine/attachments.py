"""Builds the experiment trackers of the ``logger`` group, after checking them before the run starts."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers.logger import Logger

from bmx import extras
from bmx.engine.build import call
from bmx.engine.signature import accepts, bind
from bmx.errors import UsageError

# The package that a tracker needs, by the last part of its target: bmx's functions and Lightning's classes.
_NEEDS = {
    "loggers.tensorboard": "tensorboard",
    "TensorBoardLogger": "tensorboard",
    "loggers.wandb": "wandb",
    "WandbLogger": "wandb",
    "loggers.mlflow": "mlflow",
    "MLFlowLogger": "mlflow",
}
# Arguments that bmx adds where the signature has them.
_SUPPLIED = ("run_dir", "steps_before")


def check_loggers(groups: DictConfig | None) -> None:
    """Checks that the trackers of the ``logger`` group can be built, without building them: that writes files.

    Raises:
        UsageError: one that does not exist, whose fields do not fit, or whose package is not installed.
    """
    for word, node in _trackers(groups):
        target = str(node._target_)
        need = next((extra for end, extra in _NEEDS.items() if target.endswith(end)), "")
        if need:
            extras.need(need, f"logger={word}", f"logger={word}")
        found = bind(node, f"logger.{word}", supplied=_SUPPLIED)
        if isclass(found) and not issubclass(found, Logger):
            raise _no_logger(f"{target} is not a Lightning logger", word)


def _no_logger(what: str, word: str) -> UsageError:
    return UsageError(what, f"logger.{word}._target_", "subclass pytorch_lightning.loggers.Logger")


def make_loggers(groups: DictConfig | None, run_dir: Path, steps_before: int) -> list[Logger]:
    """Builds the trackers of the ``logger`` group, which are used besides metrics.csv.

    Args:
        groups: the configuration; None for no tracker.
        run_dir: the run directory.
        steps_before: optimiser steps before the resume.

    Raises:
        UsageError: one cannot be built.
    """
    check_loggers(groups)
    made = []
    for word, node in _trackers(groups):
        where = f"logger.{word}"
        wanted = accepts(bind(node, where, supplied=_SUPPLIED), _SUPPLIED)
        given = {name: value for name, value in zip(_SUPPLIED, (run_dir, steps_before), strict=True) if name in wanted}
        logger = call(node, where, **given)
        if not isinstance(logger, Logger):
            raise _no_logger(f"{node._target_} made a {type(logger).__name__}, not a Lightning logger", word)
        made.append(logger)
    return made


def _trackers(groups: DictConfig | None) -> Iterator[tuple[str, DictConfig]]:
    for word, node in (groups or {}).items():
        if OmegaConf.is_dict(node) and "_target_" in node:
            yield str(word), node
