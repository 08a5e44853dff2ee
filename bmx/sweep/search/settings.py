"""Checks the settings of a search before anything is written; imports no Optuna, only checks that it is installed."""

from __future__ import annotations

from typing import Any

from bmx.errors import UsageError, did_you_mean
from bmx.extras import need

SAMPLERS = ("random", "tpe", "gp", "nsga2")
PRUNERS = ("auto", "none", "median", "halving")


def check(settings: dict[str, Any], objectives: int) -> None:
    """Checks the settings of a search.

    Args:
        settings: the keys of ``conf/hydra/sweeper/tpe.yaml``.
        objectives: the number of objectives.

    Raises:
        UsageError: an invalid value, or Optuna is missing.
    """
    sampler = settings["sampler"]
    word = f"sweeper={sampler}"
    need_optuna(word, word, "list the values for a grid")
    if sampler not in SAMPLERS:
        raise UsageError(f"no sampler '{sampler}'", "hydra.sweeper.sampler", did_you_mean(str(sampler), SAMPLERS))
    trials, minutes, pruner = settings.get("trials"), settings.get("minutes"), settings.get("pruner")
    if trials is None and minutes is None:
        raise UsageError("a search needs an end", "trials=null minutes=null", "write trials=30 or minutes=10")
    if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise UsageError(f"trials must be a whole number, 1 or more, not {trials!r}", f"trials={trials}", "trials=30")
    if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes <= 0):
        raise UsageError(f"minutes must be greater than 0, not {minutes!r}", f"minutes={minutes}", "minutes=10")
    if pruner not in PRUNERS:
        raise UsageError(f"no pruner '{pruner}'", f"pruner={pruner}", did_you_mean(str(pruner), PRUNERS))
    if objectives > 1 and pruner in ("median", "halving"):
        fix = "leave pruner out, or name one objective"
        raise UsageError("with several objectives no job can be called hopeless", f"pruner={pruner}", fix)


def need_optuna(what: str, where: str, instead: str) -> None:
    """Checks that Optuna is installed.

    Args:
        what: the feature that needs it.
        where: the key or argument that requires it.
        instead: what can be done without it.

    Raises:
        UsageError: it is not installed.
    """
    need("optuna", where, what, instead)
