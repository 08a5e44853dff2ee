"""Reports what has changed since a resumed run's checkpoint: data, code, versions, settings, learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.engine.schedulers import make_schedule
from bmx.errors import UsageError
from bmx.optim.schedules import Schedule, Timeline
from bmx.optim.torch_schedules import TorchSchedule
from bmx.runs.origin import changes

ACCEPT = "accept_changes"
# Keys that do not affect the computation, only where results are stored and shown.
_SILENT = ("name", "outputs", "resume", "plots", "plan", "logger", "checkpoint", "trust", ACCEPT)


def check_origin(before: Mapping[str, Any], now: Mapping[str, Any], accepted: bool, where: str, verb: str) -> list[str]:
    """Sentences on what has changed in data, code and versions since the checkpoint was written.

    Args:
        before: provenance of the run.
        now: the same, determined now.
        accepted: whether the user accepts changed data or code.
        where: for messages.
        verb: of the resumed run.

    Raises:
        UsageError: data or code have changed, and the user has not accepted that.
    """
    found = changes(before, now)
    for said in (found.data, found.code):
        if said and not accepted:
            what = f"{said}; what this run has learned so far is of what was there before"
            back = "put back what was there" if said is found.data else "put the code back"
            fix = f"{back}, start a new run without resume=, or go on all the same: {ACCEPT}=true"
            raise UsageError(what, where, fix)
    return found.lines()


def other_settings(stored: str, cfg: DictConfig) -> list[str]:
    """Sentences on the settings that differ from those in the checkpoint, and their effect.

    Args:
        stored: the configuration in the checkpoint, as YAML.
        cfg: of the resumed run.
    """
    before, now = OmegaConf.create(stored), cfg
    assert isinstance(before, DictConfig)
    old, new = _flat(OmegaConf.to_container(before)), _flat(OmegaConf.to_container(now, resolve=True))
    keys = [key for key in new if key.partition(".")[0] not in _SILENT and key in old and old[key] != new[key]]
    groups = ("scheduler", "optim", "regularization", "trainer")
    keys += [key for key in (new.keys() ^ old.keys()) if key.partition(".")[0] in groups]
    shown = [
        f"{key} {_shown(old, key)} → {_shown(new, key)}" for key in dict.fromkeys(keys) if not _repeats(key, keys, new)
    ]
    return [f"otherwise than before, from here on: {', '.join(shown)}"] if shown else []


def other_rate(
    stored: str, cfg: DictConfig, schedule: Schedule | TorchSchedule, now: Timeline, state: Mapping[str, Any]
) -> list[str]:
    """A sentence with the learning rate of the last and the next step, where changed settings alter the latter.

    Args:
        stored: the configuration in the checkpoint, as YAML.
        cfg: of the resumed run.
        schedule: of the resumed run.
        now: its timeline, steps per epoch and epochs.
        state: of the checkpoint.
    """
    before = OmegaConf.create(stored)
    assert isinstance(before, DictConfig)
    if isinstance(schedule, TorchSchedule):  # it continues unchanged, or is rejected
        return []
    then = Timeline(now.steps_per_epoch, int(before.epochs))
    at = state["position"]
    step = int(at["epoch"]) * now.steps_per_epoch + int(at["step"])
    if step == 0 or step >= now.steps:
        return []
    measured = float((state.get("rates") or {}).get("factor", 1.0))  # of a schedule that follows the loss
    try:
        old = make_schedule(before.scheduler)
        assert isinstance(old, Schedule)
        last = measured * _lr(before) * old.factor(step - 1, then)
        would = measured * _lr(before) * old.factor(min(step, then.steps - 1), then)
    except Exception:  # a schedule that this version no longer has
        return []
    rate = measured * _lr(cfg) * schedule.factor(step, now)
    if abs(rate - would) <= 1e-6 * max(abs(rate), abs(would)):
        return []
    said = f"the learning rate was {last:.3g} in step {step:,}, and is {rate:.3g} from step {step + 1:,} on"
    same = OmegaConf.to_container(before.scheduler) == OmegaConf.to_container(cfg.scheduler, resolve=True)
    if same and then.epochs != now.epochs and _lr(before) == _lr(cfg):
        said += f": the schedule is stretched from {then.epochs:,} to {now.epochs:,} epochs, as in a run of that many"
    return [said]


def _lr(cfg: DictConfig) -> float:
    return float(OmegaConf.select(cfg, "optim.lr", default=None) or cfg.lr)


def _repeats(key: str, keys: list[str], new: Mapping[str, Any]) -> bool:
    """Whether a key only repeats a shorthand that is reported already: ``optim.lr`` next to ``lr``."""
    last = key.rpartition(".")[2]
    return "." in key and last in keys and new.get(last) == new.get(key)


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found
