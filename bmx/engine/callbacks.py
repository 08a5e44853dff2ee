"""Builds the Lightning callbacks of ``trainer.callbacks``, checks them before the run, and calls their step hooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import (
    Callback,
    DeviceStatsMonitor,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    SpikeDetection,
    WeightAveraging,
)
from pytorch_lightning.trainer import call
from torch import Tensor
from torch.optim import Optimizer

from bmx.engine.build import call as build
from bmx.engine.callback_rules import OPTIMISER_HOOKS, REFUSED, STEP_HOOKS, UNCALLED
from bmx.engine.plain import not_plain
from bmx.engine.signature import bind
from bmx.errors import UsageError, did_you_mean
from bmx.tasks.callback_metrics import known_names
from bmx.tasks.losses import TaskObjective

KEY = "trainer.callbacks"
_LIGHTNING = ("pytorch_lightning.", "lightning_fabric.", "lightning.")


def make_callbacks(nodes: Any) -> list[Callback]:
    """Builds the callbacks of ``trainer.callbacks``; rejects those that bmx cannot call as Lightning documents.

    Raises:
        UsageError: not a callback, an invalid field, or one that relies on something a run does not do.
    """
    if nodes is None:
        return []
    made: list[Callback] = []
    for number, node in enumerate(nodes):
        where = f"{KEY}[{number}]"
        node = node if isinstance(node, DictConfig) else OmegaConf.create(node)
        assert isinstance(node, DictConfig), f"the declaration of {KEY} says so"
        _allowed(bind(node, where), where)
        callback = build(node, where)
        if not isinstance(callback, Callback):
            fix = "subclass pytorch_lightning.callbacks.Callback"
            raise UsageError(f"{node._target_} made a {type(callback).__name__}, not a callback", where, fix)
        _allowed(type(callback), where)
        _hooks_allowed(callback, where)
        _state_allowed(callback, where)
        made.append(callback)
    _different_states(made)
    return made


def _allowed(kind: Any, where: str) -> None:
    if not isinstance(kind, type):
        return
    for refused, (reason, fix) in REFUSED.items():
        if issubclass(kind, refused):
            name = kind.__name__ if kind is refused else f"{kind.__name__} (a {refused.__name__})"
            raise UsageError(f"{name} cannot be used: {reason}", where, fix)


def _hooks_allowed(callback: Callback, where: str) -> None:
    for hook, (reason, fix) in UNCALLED.items():
        if _own(callback, hook):
            raise UsageError(f"{type(callback).__name__}.{hook} would never be called: {reason}", where, fix)


def _state_allowed(callback: Callback, where: str) -> None:
    try:
        odd = not_plain(callback.state_dict())
    except Exception:
        return  # it has none before its setup
    if odd is not None:
        what = f"the state of {type(callback).__name__} holds a {odd[1].__name__}, which no checkpoint can give back"
        fix = "give numbers, text, tensors, and lists and dictionaries of them in its state_dict"
        raise UsageError(what, f"{where}, {odd[0]}" if odd[0] else where, fix)


def has_hook(callback: Callback, hook: str) -> bool:
    """Whether the callback implements this hook; those of a LambdaCallback are instance attributes."""
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook)


def _own(callback: Callback, hook: str) -> bool:
    """Whether the hook is user code: the test hooks of Lightning's callbacks repeat what they do in the fit."""
    if hook in vars(callback):
        return True
    owner = next(kind for kind in type(callback).__mro__ if hook in vars(kind))
    return not (owner.__module__ + ".").startswith(_LIGHTNING)


def _different_states(callbacks: Sequence[Callback]) -> None:
    """Rejects callbacks with the same state key: Lightning stores states by class and a few arguments."""
    seen: set[str] = set()
    for number, callback in enumerate(callbacks):
        if has_hook(callback, "state_dict") and callback.state_key in seen:
            name = type(callback).__name__
            fix = "leave one out, or give the class a state_key of its own"
            raise UsageError(f"two callbacks {name} would keep one state", f"{KEY}[{number}]", fix)
        seen.add(callback.state_key)


def check_callbacks(nodes: Any, objective: TaskObjective, validates: bool, device: torch.device) -> None:
    """Checks before a run that its callbacks can work.

    Args:
        nodes: ``trainer.callbacks``.
        objective: of the run; names its score.
        validates: whether there is a validation set.
        device: where the run computes.

    Raises:
        UsageError: for the first callback that could not.
    """
    callbacks = make_callbacks(nodes)
    for number, callback in enumerate(callbacks):
        where = f"{KEY}[{number}]"
        if isinstance(callback, EarlyStopping | ModelCheckpoint) and callback.monitor is not None:
            _check_monitor(callback, callbacks, objective, validates, where)
        if isinstance(callback, ModelCheckpoint) and callback._train_time_interval is not None:
            reason = "Lightning saves by the clock only where it steps the optimiser itself"
            fix = "use checkpoint.every=10min, which saves last.ckpt by the clock"
            raise UsageError(f"train_time_interval would never save: {reason}", f"{where}.train_time_interval", fix)
        if isinstance(callback, DeviceStatsMonitor) and device.type == "cpu" and callback._cpu_stats is not False:
            from importlib.util import find_spec

            if find_spec("psutil") is None:
                what = "DeviceStatsMonitor needs the package psutil on the CPU, and it is not installed"
                raise UsageError(what, where, "pip install psutil")


def _check_monitor(
    callback: EarlyStopping | ModelCheckpoint,
    callbacks: Sequence[Callback],
    objective: TaskObjective,
    validates: bool,
    where: str,
) -> None:
    name, monitor = type(callback).__name__, str(callback.monitor)
    known = known_names(objective, validates)
    if monitor not in known:
        if any(_may_log(other) for other in callbacks if other is not callback) or not getattr(
            callback, "strict", True
        ):
            return  # a metric of the user's own
        if not validates and monitor in known_names(objective, True):
            fix = "use data.val_size=0.1, or follow train/loss"
            raise UsageError(f"{name} follows {monitor}, and nothing is held out", f"{where}.monitor", fix)
        what = f"{name} follows '{monitor}', which a run does not have"
        raise UsageError(what, f"{where}.monitor", did_you_mean(monitor, known))
    higher = known[monitor].higher_is_better
    wanted = "max" if higher else "min"
    if callback.mode != wanted and (isinstance(callback, EarlyStopping) or callback.save_top_k > 0):
        better = "higher" if higher else "lower"
        taken = "lower" if higher else "higher"
        what = f"{name} takes a {taken} {monitor} for the better one: its mode is {callback.mode}"
        raise UsageError(what, f"{where}.mode", f"{better} is better: write mode: {wanted}")


def _may_log(callback: Callback) -> bool:
    if isinstance(callback, LearningRateMonitor):
        return True
    return not (type(callback).__module__ + ".").startswith(_LIGHTNING) or bool(
        set(vars(callback)) & set(vars(Callback))
    )


def wants_batches(callbacks: Sequence[Callback]) -> bool:
    """Whether Lightning must iterate single batches: a user's callback may read anything of the Trainer."""
    hooks = (*STEP_HOOKS, *OPTIMISER_HOOKS)
    return any(
        not (type(callback).__module__ + ".").startswith(_LIGHTNING) or any(has_hook(callback, hook) for hook in hooks)
        for callback in callbacks
    )


def averages(callbacks: Sequence[Callback]) -> Callback | None:
    """The weight-averaging callback, if there is one."""
    return next((callback for callback in callbacks if isinstance(callback, WeightAveraging)), None)


def check_tuned(callbacks: Sequence[Callback], method: Any, fix: str) -> None:
    """Rejects weight averaging while the weights are still being pruned: it would mix both states.

    Args:
        callbacks: the user's.
        method: compresses the weights while they are trained or tuned.
        fix: what else than to leave the callback out.

    Raises:
        UsageError: the weights are averaged and pruned at once.
    """
    found = averages(callbacks)
    if found is not None and getattr(method, "settles_late", False):
        name = type(found).__name__
        what = f"{name} would average weights from before and after they are pruned, and fill up what is to be zero"
        raise UsageError(what, KEY, f"leave {name} out of trainer.callbacks{fix}")


def placed(callbacks: Sequence[Callback], run_dir: Path) -> None:
    """Sets the folder of callbacks that write files and have none configured to one in the run directory."""
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(run_dir / "model_checkpoints")
        if isinstance(callback, SpikeDetection) and not hasattr(callback, "running"):
            # Lightning 2.6 reads its state back under this name, which it does not set.
            callback.running = callback.running_mean  # type: ignore[attr-defined]


class CalledInSteps:
    """Calls the hooks within a step, as Lightning would.

    Args:
        trainer: the Trainer with the callbacks.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self.trainer = trainer

    def before_zero_grad(self, optimizer: Optimizer) -> None:
        call._call_callback_hooks(self.trainer, "on_before_zero_grad", optimizer)

    def before_backward(self, loss: Tensor) -> None:
        call._call_callback_hooks(self.trainer, "on_before_backward", loss)

    def after_backward(self) -> None:
        call._call_callback_hooks(self.trainer, "on_after_backward")

    def before_optimizer_step(self, optimizer: Optimizer) -> None:
        call._call_callback_hooks(self.trainer, "on_before_optimizer_step", optimizer)


def step_hooks(callbacks: Sequence[Callback], trainer: pl.Trainer) -> CalledInSteps | None:
    """The caller of the hooks within a step; None if no callback has one."""
    wanted = any(has_hook(callback, hook) for callback in callbacks for hook in OPTIMISER_HOOKS)
    return CalledInSteps(trainer) if wanted else None
