"""Which words were chosen on the command line, for the record."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode


def chosen_words() -> tuple[dict[str, str], list[str]]:
    """The chosen word of each group, and the overrides as typed; both empty when called from Python."""
    if not HydraConfig.initialized():
        return {}, []
    hydra = HydraConfig.get()
    choices = {
        str(group): str(word)
        for group, word in hydra.runtime.choices.items()
        if not str(group).startswith("hydra") and word not in (None, "null")
    }
    return choices, [str(word) for word in hydra.overrides.task]


def in_sweep() -> bool:
    """Whether this run is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
