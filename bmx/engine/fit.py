"""Fits a prepared configuration: builds the task and the Trainer, runs them, and says how it went."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor, nn

from bmx.compression.method import Tuning
from bmx.compression.recipe import Step
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.loading import reader_for
from bmx.data.spec import DataSpec
from bmx.distributed.order import EveryNth, SharedOrder
from bmx.distributed.shared_steps import SharedSteps
from bmx.engine import predictor, random_state
from bmx.engine.attachments import make_loggers
from bmx.engine.build import make_model
from bmx.engine.callback_errors import explained
from bmx.engine.callbacks import make_callbacks, placed, step_hooks, wants_batches
from bmx.engine.checkpoints import BEST, Checkpoints, Every, SaveBest
from bmx.engine.display import Display
from bmx.engine.durable import DurableCheckpointIO
from bmx.engine.evaluation import batch_size_for
from bmx.engine.fit_task import build_task
from bmx.engine.lightning_messages import heard
from bmx.engine.metrics_csv import MetricsCsv
from bmx.engine.monitor import Watch
from bmx.engine.prepare import Prepared
from bmx.engine.profiling import ProfiledReader
from bmx.engine.resume import Resumed
from bmx.engine.saved_check import CHECKED, check_saved
from bmx.engine.selection import Selection
from bmx.engine.signals import StopRequest
from bmx.engine.trainer import RunTrainer
from bmx.errors import RunFailed
from bmx.tasks.blocks import EvaluationBlocks, StepBlocks
from bmx.tasks.fit import FitTask, Row

log = logging.getLogger("bmx.train")


@dataclass
class Fit:
    """A run that is being fitted, and afterwards what came of it.

    Attributes:
        task: the LightningModule.
        spec: of the data.
        selection: which epoch was best, and by what.
        watch: the seconds of each epoch.
        callbacks: the user's.
    """

    task: FitTask
    spec: DataSpec
    trainer: RunTrainer
    selection: Selection
    watch: Watch
    checkpoint: Path | None
    train_blocks: StepBlocks
    val_blocks: EvaluationBlocks | None
    callbacks: Sequence[Callback]
    save_best: SaveBest
    run_dir: Path
    profiled: ProfiledReader | None = None

    def run(self) -> None:
        """Trains to the end, from the checkpoint that was found if there was one."""
        with warnings.catch_warnings():
            # Lightning's advice on DataLoader workers and logging intervals is about loops that are not run here.
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            try:
                with heard(self.watch.display.note):
                    self.trainer.fit(
                        self.task,
                        self.train_blocks,
                        self.val_blocks,
                        ckpt_path=None if self.checkpoint is None else str(self.checkpoint),
                        weights_only=True,
                    )
                if self.profiled is not None:
                    self.profiled.close()
            except BaseException as error:
                if self.profiled is not None:
                    self.profiled.drop()
                if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
                    # What Lightning makes of a KeyboardInterrupt.
                    raise KeyboardInterrupt from error
                told = explained(error, self.callbacks)
                if told is None:
                    raise
                log.error("%s", told.what, exc_info=error)
                raise told from error
        self._conclude()

    def _conclude(self) -> None:
        """Saves what callbacks made of the weights at the very end, and says who ended the run early."""
        if self.callbacks and self.selection.metric is None and self.task.epoch_row:
            # Nothing was validated: the result is what the callbacks leave behind.
            self.save_best(best_file(self.run_dir), self.task, self.task.state_dict())
        if not self.selection.best_epoch:
            raise RunFailed(
                f"the run was over before its first epoch was: {self.stopped or 'it has no result'}",
                "trainer.callbacks",
                "let the callback stop the run later, or leave it out",
            )

    @property
    def stopped(self) -> str | None:
        """Who ended the run before its last epoch, and why; None if it went to its end."""
        if self.task.position.epoch >= int(self.task.timeline.epochs) and self.task.position.step == 0:
            asked = self.trainer.stop_asked
            short = self.task.steps_done < self.task.timeline.steps
            return asked.reason if asked is not None and short and asked.callback in self.callbacks else None
        if self.selection.exhausted:
            waited = "an epoch" if self.selection.waited == 1 else f"{self.selection.waited} epochs"
            better = (self.selection.metric or "").replace("/", " ")
            return f"no better {better} in {waited} (regularization.patience={self.selection.patience})"
        asked = self.trainer.stop_asked
        return asked.reason if asked is not None else None


def build_net(prepared: Prepared) -> nn.Module:
    """The model of a run, initialised from its seed, on the CPU."""
    cfg = prepared.cfg
    random_state.seed_everything(int(cfg.seed))
    net = make_model(cfg.model, prepared.data.spec)
    predictor.lay_out(net, cfg, prepared.data.spec)
    return net


def build(
    prepared: Prepared,
    net: nn.Module,
    run_dir: Path,
    display: Display,
    stop: StopRequest,
    make_task: Callable[..., FitTask] = FitTask,
    recipe: Sequence[Step] = (),
    tuning: Tuning | None = None,
) -> Fit:
    """Puts task, data, loggers, callbacks and Trainer together.

    Args:
        prepared: the checked configuration.
        net: the model to fit.
        run_dir: where checkpoints and metrics go.
        display: where progress is shown.
        stop: carries a signal's request to stop.
        make_task: takes the arguments of :class:`FitTask`.
        recipe: what compression did to the architecture of ``net``.
        tuning: what has to hold after each step.
    """
    cfg, data = prepared.cfg, prepared.data
    order = prepared.order()
    task = build_task(prepared, net, order, make_task, tuning)
    position, objective = task.position, task.objective
    selection = Selection(
        metric=prepared.validation_metric,
        higher_is_better=bool(objective.scored.higher_is_better),
        patience=cfg.regularization.patience,
    )
    config_yaml = OmegaConf.to_yaml(cfg, resolve=True)
    watch = Watch(display)
    save_best = _best_writer(prepared, config_yaml, recipe)
    checkpoints = Checkpoints(
        run_dir / "checkpoints",
        selection,
        save_best,
        Every.parse(cfg.checkpoint.every),
        stop,
        watch.end_epoch,
        watch.on_epoch,
    )
    watch.checkpoints = checkpoints
    ranks = prepared.device.ranks
    table = MetricsCsv(run_dir / "metrics.csv")

    resumed = prepared.resumed or Resumed(None, {}, "")
    path, state = resumed.path, resumed.state
    for text in filter(None, [*data.notes, resumed.note, *resumed.told, _where(cfg.resume, state)]):
        display.note(text)
        log.info(text)
    steps_before = int(state["bmx"]["steps_done"]) if state else 0
    if cfg.resume and ranks.is_main:
        table.cut(int(state["bmx"]["rows"]) if state else 0)
    loggers: list[Logger] = []
    if ranks.is_main:
        loggers = [table, *make_loggers(cfg.get("logger"), run_dir, steps_before)]
    for logger in loggers[1:]:
        logger.log_hyperparams(cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(config_yaml))))
    user_callbacks = make_callbacks(cfg.trainer.callbacks)
    placed(user_callbacks, run_dir)

    def write_row(row: Row) -> None:
        table.log_metrics(row)
        numbers = {name: value for name, value in row.items() if name not in ("row", "step")}
        for logger in loggers[1:]:
            logger.log_metrics({f"{k}" if "/" in k else k: float(v) for k, v in numbers.items()}, step=int(row["step"]))

    def pulse(task: FitTask) -> None:
        task.pulse_now = False
        watch.on_pulse(task)

    def ask_for_pulse() -> None:
        task.pulse_now = True

    def before_first_step() -> None:
        task.rates.keep_configured()
        random_state.restore(state["bmx"]["random"])

    if ranks.is_main:
        task.write_row = write_row
    task.pulse = pulse
    facts = {"config": config_yaml, "origin": prepared.origin}
    task.surroundings = lambda: {"random": random_state.capture(), **facts, "rows": table.sync()}
    stop.on_request = ask_for_pulse
    if path is not None:
        task.before_first_step = before_first_step

    trainer = RunTrainer(
        **prepared.device.trainer_arguments,
        max_epochs=int(cfg.epochs),
        default_root_dir=run_dir,
        logger=loggers or False,
        # What is saved at the end of an epoch has to know what the other callbacks made of it.
        callbacks=[watch, *user_callbacks, checkpoints],
        plugins=[DurableCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=int(cfg.trainer.log_every),
        use_distributed_sampler=False,
        deterministic=cfg.trainer.deterministic or None,
    )
    # The input stage converts raw samples, and it does so in the precision of the net.
    trainer.precision_plugin.convert_input = lambda data: data  # type: ignore[method-assign]
    task.observed = bool(user_callbacks)
    task.step_hooks = step_hooks(user_callbacks, trainer)
    single = wants_batches(user_callbacks)
    own_order = SharedOrder(order, ranks)
    train_reader = reader_for(data.train, own_order, prepared.device.where, int(cfg.data.workers))
    profiled = None
    if cfg.profile and ranks.is_main:
        left = prepared.timeline.steps - steps_before
        train_reader = profiled = ProfiledReader(train_reader, run_dir / "profile", prepared.device.where, left)
    val_blocks, val_batches = None, 0
    if data.val is not None:
        val_order = BatchOrder(len(data.val), batch_size_for(data.spec), shuffle=False)
        own_val, val_batches = EveryNth(val_order, ranks), len(val_order)
        val_reader = reader_for(data.val, own_val, prepared.device.where, int(cfg.data.workers))
        val_blocks = EvaluationBlocks(val_reader, len(own_val), single)
    if ranks.count > 1:
        task.shared = SharedSteps(own_order, int(cfg.seed), val_batches)
    blocks = StepBlocks(train_reader, order, position, single)
    parts = (path, blocks, val_blocks, user_callbacks, save_best, run_dir, profiled)
    return Fit(task, data.spec, trainer, selection, watch, *parts)


def _where(resume: str | None, state: dict[str, Any]) -> str:
    if not resume:
        return ""
    if not state:
        return "the run was stopped before its first checkpoint: starting it again"
    at = state["bmx"]["position"]
    return f"going on in epoch {at['epoch'] + 1} after step {at['step']:,}"


def _best_writer(prepared: Prepared, config_yaml: str, recipe: Sequence[Step]) -> SaveBest:
    def save_best(path: Path, task: FitTask, weights: dict[str, Tensor]) -> None:
        row = task.epoch_row
        facts = {
            "epoch": int(row["epoch"]),
            "step": int(row["step"]),
            "metrics": {name: float(value) for name, value in row.items() if "/" in name},
            "origin": prepared.origin,
        }
        predictor.save_model(path, weights, prepared.data.spec, config_yaml, facts, recipe)
        check_saved(path, task.net, task.input_stage, prepared.data.train.inputs[:CHECKED], weights)

    return save_best


def save_unfitted(prepared: Prepared, net: nn.Module, run_dir: Path, recipe: Sequence[Step]) -> None:
    """Writes best.ckpt of a model that is used as it is, without training."""
    state = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    stage = InputStage.fitted(prepared.data.spec, prepared.data.train)
    state |= {f"input_stage.{name}": tensor for name, tensor in stage.state_dict().items()}
    state |= {f"output_stage.{name}": tensor for name, tensor in prepared.units().state_dict().items()}
    best = best_file(run_dir)
    best.parent.mkdir(exist_ok=True)
    config_yaml = OmegaConf.to_yaml(prepared.cfg, resolve=True)
    facts = {"epoch": 0, "step": 0, "metrics": {}, "origin": prepared.origin}
    predictor.save_model(best, state, prepared.data.spec, config_yaml, facts, recipe)
    check_saved(best, net, stage, prepared.data.train.inputs[:CHECKED])


def best_file(run_dir: Path) -> Path:
    """Where a run keeps the model that is tested and used."""
    return run_dir / "checkpoints" / BEST
