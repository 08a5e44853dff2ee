"""The metrics that a sweep's jobs are measured by besides the usual ones: what can be chosen by, and which way."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError
from bmx.metrics.metric import Metric
from bmx.metrics.standard import Noted, facts_of
from bmx.targets.locating import find
from bmx.targets.standing import places_on_path


def chosen_metrics(config: DictConfig) -> dict[str, Metric]:
    """What the classes of the group ``metrics`` say of themselves, by the names of the metrics; none is made.

    Raises:
        UsageError: one is not there, or is no metric.
    """
    found: dict[str, Metric] = {}
    for name in config.get("metrics") or ():
        key = f"metrics.{name}._target_"
        with places_on_path():
            kind = find(str(OmegaConf.select(config, key)), key)
        if not (isinstance(kind, type) and issubclass(kind, Metric)):
            what = f"{OmegaConf.select(config, key)} is not a bmx metric"
            raise UsageError(what, key, "subclass bmx.metrics.metric.Metric")
        found[str(name)] = Noted(str(name), facts_of(kind))
    return found
