"""Hydra's config choices and overrides of the current command, as result.json records them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from bmx.sweep.workers.locks import CLAIM


def chosen_words() -> tuple[dict[str, str], list[str]]:
    """The chosen option of each config group, and the overrides as typed; both empty when called from Python."""
    if not HydraConfig.initialized():
        return {}, []
    hydra = HydraConfig.get()
    choices = {
        str(group): str(word)
        for group, word in hydra.runtime.choices.items()
        if not str(group).startswith("hydra") and word not in (None, "null")
    }
    return choices, [str(word) for word in hydra.overrides.task]


def chosen_facts() -> dict[str, Any]:
    """The same as result.json has them."""
    choices, overrides = chosen_words()
    return {"choices": choices, "overrides": overrides}


def in_sweep(run_dir: Path) -> bool:
    """Whether the run in this directory is a job of a sweep."""
    # A job in a process of its own is an ordinary command; the claim file in its directory marks it as a job.
    multirun = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    return multirun or (run_dir / CLAIM).exists()
