"""The schedule of a run from the ``scheduler`` group: one of bmx's, or a scheduler of torch's by its ``_target_``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from bmx.engine.build import make_bmx
from bmx.engine.plain import not_plain
from bmx.engine.signature import bind, locate
from bmx.errors import UsageError, did_you_mean
from bmx.metrics.standard import LOSS
from bmx.optim.schedules import Schedule, Timeline
from bmx.optim.torch_schedules import TorchSchedule
from bmx.tasks.losses import TaskObjective

# Fields of the group that are bmx's and no arguments of torch's class.
_OWN = ("interval", "monitor", "warmup", "warmup_start")
# What a run knows itself.
_SUPPLIED = ("optimizer", "T_max", "max_lr", "base_lr")


def make_schedule(scheduler: DictConfig) -> Schedule:
    """Builds the learning-rate schedule of the ``scheduler`` group.

    Raises:
        UsageError: fields that it does not have or does not accept.
    """
    target = scheduler.get("_target_")
    kind = locate(str(target), "scheduler") if target else None
    if not (isinstance(kind, type) and issubclass(kind, LRScheduler)):
        return make_bmx(scheduler, "scheduler", Schedule, "factor")
    plain = OmegaConf.to_container(scheduler, resolve=True)
    assert isinstance(plain, dict)
    own = {name: plain.pop(name) for name in _OWN if name in plain}
    own.pop("warmup_start", None)
    node = OmegaConf.create(plain)
    bind(node, "scheduler", supplied=_SUPPLIED)
    plain.pop("_target_")
    arguments = instantiate(OmegaConf.create(plain), _convert_="all")
    for name, value in arguments.items():
        wanted = str(inspect.signature(kind).parameters[name].annotation)
        if "Callable" in wanted and value is not None and not callable(value):
            fix = f"write {name}: {{_target_: my_module.my_function, _partial_: true}}"
            raise UsageError(f"{name} must be a function, got {value!r}", f"scheduler.{name}", fix)
    try:
        return TorchSchedule(kind=kind, arguments=arguments, **own)
    except (ValueError, TypeError) as error:
        fix = "choose one of bmx's own, such as scheduler=cosine"
        raise UsageError(str(error), f"scheduler ({target})", fix) from error


def check_schedule(
    schedule: Schedule, timeline: Timeline, trial: Callable[[], Optimizer], validated: TaskObjective | None
) -> None:
    """Finds out whether a schedule fits into a run.

    Args:
        schedule: of the run.
        timeline: its length.
        trial: makes an optimiser of the run's class and rate, to be thrown away.
        validated: the run's objective; None without a validation set.

    Raises:
        UsageError: it does not.
    """
    try:
        schedule.check(timeline)
    except ValueError as error:
        raise UsageError(str(error), "scheduler.warmup", "use more epochs or a shorter warm-up") from error
    if not isinstance(schedule, TorchSchedule):
        return
    name = schedule.kind.__name__
    if schedule.monitor is not None:
        _check_monitor(schedule, validated)
    try:
        state = schedule.start(trial(), timeline).state_dict()
        schedule.try_out(trial(), timeline)
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        fix = "with --help the same command lists the fields of scheduler"
        raise UsageError(f"{name}: {first}", f"scheduler ({schedule.kind.__module__}.{name})", fix) from error
    odd = not_plain(state)
    if odd is not None:
        what = f"{name} keeps a {odd[1].__name__} in its state, which no checkpoint can give back"
        raise UsageError(what, f"scheduler, {odd[0]}", "choose another, such as scheduler=cosine")
    _check_base(schedule, float(trial().param_groups[0]["lr"]))


def _check_monitor(schedule: TorchSchedule, validated: TaskObjective | None) -> None:
    kinds = (LOSS, validated.scored) if validated is not None else ()
    known = {f"val/{metric.name}": metric for metric in kinds} | {"train/loss": LOSS}
    if schedule.monitor not in known:
        what, fix = f"a run has no '{schedule.monitor}'", did_you_mean(str(schedule.monitor), known)
        raise UsageError(what, "scheduler.monitor", fix)
    mode, wanted = schedule.arguments.get("mode", "min"), "max" if known[schedule.monitor].higher_is_better else "min"
    if mode != wanted:
        what = f"{schedule.kind.__name__} waits for the {mode}imum of {schedule.monitor}, and the other way is better"
        raise UsageError(what, "scheduler.mode", f"write mode: {wanted}")


def _check_base(schedule: TorchSchedule, lr: float) -> None:
    """Refuses a scheduler that begins from a rate of its own, whatever ``lr`` is."""
    given: dict[str, Any] = {name: schedule.arguments.get(name) for name in ("base_lr", "max_lr")}
    fixed = {name: value for name, value in given.items() if value is not None and "base_lr" in schedule.names}
    fixed |= {"max_lr": given["max_lr"]} if given["max_lr"] is not None and "base_lr" not in schedule.names else {}
    field = "base_lr" if "base_lr" in schedule.names else "max_lr"
    if field in fixed and not any(lr in (value if isinstance(value, list) else [value]) for value in fixed.values()):
        name = schedule.kind.__name__
        what = f"{name} begins from its own {field}={fixed[field]}, and lr={lr:g} would be ignored"
        raise UsageError(what, f"scheduler.{field}", f"leave {field} out: it is lr; or write {field}: ${{lr}}")
