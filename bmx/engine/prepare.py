"""Validates a training configuration against data, model and machine, and holds the loaded parts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.optim import Optimizer

from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.output_stage import OutputStage
from bmx.data.pipeline.prepare import DataSet
from bmx.data.pipeline.prepare import prepare as prepare_data
from bmx.data.spec import DataSpec
from bmx.distributed.ranks import current
from bmx.engine.attachments import check_loggers
from bmx.engine.build import make_augmentation, make_model, make_source, optimizer_maker, source_name, trial_of
from bmx.engine.callbacks import averages, check_callbacks, make_callbacks
from bmx.engine.checkpoints import Every
from bmx.engine.device import Device, resolve
from bmx.engine.least_batch import check_batches, least_batch
from bmx.engine.measures import make_metrics, try_metrics
from bmx.engine.model_check import check_model
from bmx.engine.rank_check import check_ranks
from bmx.engine.resume import Resumed, check_averaging, check_fits, check_same_scheduler, check_unchanged, find_state
from bmx.engine.resume_notes import ACCEPT, check_origin, other_rate, other_settings
from bmx.engine.schedulers import check_schedule, make_schedule
from bmx.engine.warm_start import units_of, weights_for
from bmx.errors import UsageError
from bmx.metrics.metric import Metric
from bmx.optim.schedules import Plateau, Schedule, Timeline
from bmx.optim.torch_schedules import TorchSchedule, plain_arguments
from bmx.runs.locking import lock
from bmx.runs.origin import changes, origin, origin_of
from bmx.runs.report.foot import FOOT
from bmx.targets.standing import named_in, vouch
from bmx.tasks.losses import objective_for
from bmx.tasks.optimizer_step import wants_closure


@dataclass(frozen=True)
class Prepared:
    """A validated configuration, and the parts that do not depend on the seed.

    Attributes:
        cfg: the configuration.
        data: the training, validation and test sets.
        device: where to compute.
        batch_size: samples per optimiser step.
        make_optimizer: factory, from parameters to optimiser.
        schedule: the learning-rate schedule.
        timeline: steps per epoch and epochs.
        resumed: the checkpoint to resume from, None for a new run.
        auto: settings still to be found by trials; until then ``cfg`` holds a placeholder for each.
        least: minimum batch size of the model.
        output_stage: of the initial weights; None where they are untrained.
        origin: provenance of the run: data, code, versions; see :mod:`bmx.runs.origin`.
        measures: metrics besides the standard ones.
    """

    cfg: DictConfig
    data: DataSet
    device: Device
    batch_size: int
    make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    schedule: Schedule
    timeline: Timeline
    auto: tuple[str, ...] = ()
    resumed: Resumed | None = None
    least: int = 1
    output_stage: OutputStage | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    measures: tuple[Metric, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether there is a checkpoint to resume from, which has its own weights."""
        return self.resumed is not None and self.resumed.path is not None

    @property
    def validation_metric(self) -> str | None:
        """The metric that selects the best epoch and the best job, ``val/accuracy``; None without a validation set."""
        return None if self.data.val is None else f"val/{objective_for(self.data.spec).scored.name}"

    def units(self) -> OutputStage:
        """A new output stage, which converts the model's outputs to the units of the targets."""
        return copy.deepcopy(self.output_stage) or OutputStage.fitted(self.data.spec, self.data.train)

    def order(self) -> BatchOrder:
        """The order of the training samples in batches."""
        return BatchOrder(len(self.data.train), self.batch_size, seed=int(self.cfg.seed), least=self.least)

    def example(self) -> Tensor:
        """One raw training sample, as a batch of one."""
        return self.data.train.inputs[:1]


def prepare(cfg: DictConfig, make_net: Callable[[DataSpec], nn.Module] | None = None) -> Prepared:
    """Checks ``cfg`` and loads its data.

    Args:
        cfg: the composed configuration, whose values have their declared types.
        make_net: builds the model to fit, where ``cfg.model`` alone does not define it.

    Raises:
        UsageError: for the first invalid setting, with the remedy.
    """
    vouch(named_in(cfg))
    device = resolve(str(cfg.device), str(cfg.precision), OmegaConf.select(cfg, "devices") or 1)
    cfg, auto = _stand_ins(cfg)
    Every.parse(cfg.checkpoint.every)
    check_loggers(cfg.get("logger"))
    make_optimizer = optimizer_maker(cfg.optim, cfg.lr)
    schedule = make_schedule(cfg.scheduler)

    FOOT.say(f"loading the data {str(cfg.data.get('_target_')).rpartition('.')[2]}")
    left_out = cfg.data.get("leave_out") or ()
    data = prepare_data(make_source(cfg.data), cfg.data.val_size, cfg.seed, left_out, source_name(cfg.data))
    make_augmentation(cfg.get("augmentation"), data.spec)
    measures = make_metrics(cfg.get("metrics"), data.spec)
    try_metrics(measures, data.spec, data.train)
    if "batch_size" in auto:
        cfg.batch_size = min(max(int(cfg.batch_size), int(cfg.trainer.accumulate)), len(data.train))
    batch_size = _batch_size(cfg.batch_size, len(data.train))
    if cfg.trainer.accumulate > batch_size:
        fix = f"use trainer.accumulate={batch_size} or less"
        raise UsageError(f"a batch of {batch_size} has no {cfg.trainer.accumulate} parts", "trainer.accumulate", fix)
    if cfg.regularization.patience is not None and data.val is None:
        fix = "use data.val_size=0.1, or regularization.patience=null"
        raise UsageError("early stopping needs a validation set", "data.val_size=0", fix)
    objective = objective_for(data.spec)
    check_callbacks(cfg.trainer.callbacks, objective, data.val is not None, device.where)
    make_net = make_net or (lambda spec: make_model(cfg.model, spec))
    FOOT.say("building the model")
    net = check_model(cfg, data, make_net)
    least = _least(net, data, make_net)
    if "batch_size" in auto:
        batch_size = min(max(batch_size, least * int(cfg.trainer.accumulate)), len(data.train))
    check_batches(least, len(data.train), batch_size, int(cfg.trainer.accumulate))
    order = BatchOrder(len(data.train), batch_size, least=least)
    timeline = Timeline(steps_per_epoch=len(order), epochs=int(cfg.epochs))
    validated = objective if data.val is not None else None
    _check_closure(make_optimizer, cfg)
    check_ranks(cfg, device.ranks, batch_size, auto, make_optimizer)
    check_schedule(schedule, timeline, lambda: trial_of(make_optimizer), validated)
    _check_minimum(schedule, None if "lr" in auto else float(cfg.lr))
    made_from = origin(OmegaConf.to_container(cfg, resolve=True), data.spec.name, data.marks)
    resumed = _resumed(cfg, net, made_from, schedule, timeline) if cfg.resume else None
    units = None
    if cfg.init_from and (resumed is None or resumed.path is None):  # a resumed run has its own weights
        weights_for(net, str(cfg.init_from), Path(cfg.outputs))
        units = units_of(data.spec, str(cfg.init_from), Path(cfg.outputs))
    if resumed is not None:
        averaging = averages(make_callbacks(cfg.trainer.callbacks)) is not None
        check_averaging(resumed.state, averaging, f"resume={Path(cfg.resume).name}")
    if resumed is not None and isinstance(schedule, TorchSchedule):
        made_with = plain_arguments(schedule, trial_of(make_optimizer), timeline)
        check_same_scheduler(resumed.state, made_with, f"resume={Path(cfg.resume).name}")
    parts = (cfg, data, device, batch_size, make_optimizer, schedule, timeline)
    return Prepared(*parts, auto, resumed, least, units, made_from, measures)


def _least(net: nn.Module, data: DataSet, make_net: Callable[[DataSpec], nn.Module]) -> int:
    return least_batch(net, InputStage(data.spec)(data.train.inputs[:1]), lambda: make_net(data.spec))


def _check_minimum(schedule: Any, lr: float | None) -> None:
    if isinstance(schedule, Plateau) and lr is not None and schedule.minimum >= lr:
        where, fix = f"scheduler.minimum={schedule.minimum:g} lr={lr:g}", "use a smaller minimum, or another scheduler"
        raise UsageError("the rate begins at its minimum and could never fall", where, fix)


def _resumed(
    cfg: DictConfig, net: nn.Module, made_from: dict[str, Any], schedule: Schedule | TorchSchedule, timeline: Timeline
) -> Resumed:
    """Finds the checkpoint to resume from and rejects one that does not fit, before the run directory is touched."""
    run = Path(cfg.resume)
    where = f"resume={run.name}"
    if run.exists() and current().is_main:
        lock(run).release()  # raises if another process is writing the run
    found = find_state(run / "checkpoints")
    if found.path is not None:
        check_unchanged(found.state, OmegaConf.to_yaml(cfg, resolve=True), where)
        check_fits(found.state, net, found.path)
        done = int(found.state["bmx"]["position"]["epoch"])
        if done > cfg.epochs:
            raise UsageError(
                f"{done} epochs of this run are done, the command says epochs={cfg.epochs}",
                where,
                f"use epochs={done} or more, or leave it out",
            )
        state, verb = found.state["bmx"], run.parent.parent.name
        before = state.get("origin") or origin_of(run)
        told = check_origin(before, made_from, bool(cfg.get(ACCEPT)), where, verb)
        told += other_settings(str(state["config"]), cfg)
        told += other_rate(str(state["config"]), cfg, schedule, timeline, state)
        return replace(found, told=tuple(told))
    told = changes(origin_of(run), made_from).lines()
    return replace(found, told=tuple(f"{line}; the run is started again with what is there now" for line in told))


# Placeholders of `auto` settings until the trials have been made.
_STAND_IN = {"lr": 1e-3, "batch_size": 64}


def _stand_ins(cfg: DictConfig) -> tuple[DictConfig, tuple[str, ...]]:
    """The configuration with a number for each ``auto``: the one found before a resume, or else a placeholder."""
    asked = tuple(name for name in _STAND_IN if cfg[name] == "auto")
    if not asked:
        return cfg, ()
    cfg = copy.deepcopy(cfg)
    kept = Path(cfg.resume) / "config.yaml" if cfg.resume else None
    before = OmegaConf.load(kept) if kept is not None and kept.exists() else OmegaConf.create()
    kept_values = {name: OmegaConf.select(before, name) for name in asked}
    found = {name: value for name, value in kept_values.items() if type(value) in (int, float)}
    for name in asked:
        cfg[name] = found.get(name, _STAND_IN[name])
    return cfg, tuple(name for name in asked if name not in found)


def _batch_size(value: int | str, samples: int) -> int:
    if value == "full":
        return samples
    size = int(value)
    if size > samples:
        raise UsageError(
            f"batch_size={size} is larger than the training set of {samples} samples",
            f"batch_size={size}",
            "use a smaller one, or batch_size=full for gradient descent",
        )
    return size


def _check_closure(make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer], cfg: DictConfig) -> None:
    """Rejects an optimiser that takes a closure where the loss is scaled, as Lightning does."""
    if str(cfg.precision) == "16-mixed" and wants_closure(trial_of(make_optimizer)):
        fix = "use precision=bf16-mixed or precision=32-true"
        raise UsageError("an optimiser that computes the loss again cannot scale it", "precision=16-mixed", fix)
