"""The additional metrics of a sweep's jobs, which may be objectives, with their directions."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from bmx.metrics.metric import Metric, metric_class
from bmx.metrics.standard import Noted, facts_of
from bmx.targets.locating import find
from bmx.targets.standing import places_on_path


def chosen_metrics(config: DictConfig) -> dict[str, Metric]:
    """The attributes of the classes in the group ``metrics``, by metric name; no metric is instantiated.

    Raises:
        UsageError: a target does not exist, or is not a metric.
    """
    found: dict[str, Metric] = {}
    for name in config.get("metrics") or ():
        key = f"metrics.{name}._target_"
        with places_on_path():
            target = str(OmegaConf.select(config, key))
            kind = metric_class(find(target, key), target, key)
        found[str(name)] = Noted(str(name), facts_of(kind))
    return found
