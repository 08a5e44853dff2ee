"""Fits a prepared configuration: builds the task and the Trainer, runs them, and says how it went."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers.logger import Logger
from torch import nn

from bmx.compression.method import Tuning
from bmx.compression.recipe import Step
from bmx.data.batches import BatchOrder
from bmx.data.input_stage import InputStage
from bmx.data.loading import reader_for
from bmx.data.spec import DataSpec
from bmx.engine import predictor, random_state
from bmx.engine.attachments import make_callbacks, make_loggers
from bmx.engine.build import make_model
from bmx.engine.checkpoints import BEST, Checkpoints, Every
from bmx.engine.display import Display
from bmx.engine.durable import DurableCheckpointIO
from bmx.engine.evaluation import BATCH_SIZE
from bmx.engine.fit_task import build_task
from bmx.engine.metrics_csv import MetricsCsv
from bmx.engine.prepare import Prepared
from bmx.engine.profiling import ProfiledReader
from bmx.engine.resume import Resumed
from bmx.engine.selection import Selection
from bmx.engine.signals import StopRequest
from bmx.engine.watch import Watch
from bmx.errors import UsageError
from bmx.tasks.blocks import EvaluationBlock, StepBlocks
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
    """

    task: FitTask
    spec: DataSpec
    trainer: pl.Trainer
    selection: Selection
    watch: Watch
    checkpoint: Path | None
    train_blocks: StepBlocks
    val_block: EvaluationBlock | None

    def run(self) -> None:
        """Trains to the end, from the checkpoint that was found if there was one."""
        with warnings.catch_warnings():
            # Lightning's advice on DataLoader workers and logging intervals is about loops that are not run here.
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            try:
                self.trainer.fit(
                    self.task,
                    self.train_blocks,
                    self.val_block,
                    ckpt_path=None if self.checkpoint is None else str(self.checkpoint),
                    weights_only=True,
                )
            except SystemExit as error:
                # What Lightning makes of a KeyboardInterrupt that a callback raises.
                raise KeyboardInterrupt from error


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
    order = BatchOrder(len(data.train), prepared.batch_size, seed=int(cfg.seed))
    task = build_task(prepared, net, order, make_task, tuning)
    position, objective = task.position, task.objective
    selection = Selection(
        metric=f"val/{objective.score_name}" if data.val is not None else None,
        higher_is_better=objective.higher_is_better,
        patience=cfg.regularization.patience,
    )
    config_yaml = OmegaConf.to_yaml(cfg, resolve=True)
    watch = Watch(display)
    checkpoints = Checkpoints(
        run_dir / "checkpoints",
        selection,
        _best_writer(prepared, config_yaml, recipe),
        Every.parse(cfg.checkpoint.every),
        stop,
        watch.end_epoch,
        watch.on_epoch,
    )
    watch.checkpoints = checkpoints
    table = MetricsCsv(run_dir / "metrics.csv")

    resumed = prepared.resumed or Resumed(None, {}, "")
    path, state = resumed.path, resumed.state
    for text in filter(None, [resumed.note, _where(cfg.resume, state)]):
        display.note(text)
        log.info(text)
    steps_before = int(state["bmx"]["steps_done"]) if state else 0
    if cfg.resume:
        table.cut(int(state["bmx"]["rows"]) if state else 0)
    loggers: list[Logger] = [table, *make_loggers(cfg.logger, run_dir, steps_before)]
    for logger in loggers[1:]:
        logger.log_hyperparams(cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(config_yaml))))
    user_callbacks = make_callbacks(cfg.trainer.callbacks)

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

    task.write_row = write_row
    task.pulse = pulse
    task.surroundings = lambda: {"random": random_state.capture(), "config": config_yaml, "rows": table.sync()}
    stop.on_request = ask_for_pulse
    if path is not None:
        task.before_first_step = before_first_step

    trainer = pl.Trainer(
        **prepared.device.trainer_arguments,
        max_epochs=int(cfg.epochs),
        default_root_dir=run_dir,
        logger=loggers,
        callbacks=[watch, checkpoints, *user_callbacks],
        plugins=[DurableCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic=cfg.trainer.deterministic or None,
    )
    train_reader = reader_for(data.train, order, prepared.device.where, int(cfg.data.workers))
    if cfg.profile:
        train_reader = ProfiledReader(train_reader, run_dir / "profile", prepared.device.where)
    val_block = None
    if data.val is not None:
        val_order = BatchOrder(len(data.val), BATCH_SIZE, shuffle=False)
        val_block = EvaluationBlock(reader_for(data.val, val_order, prepared.device.where, int(cfg.data.workers)))
    blocks = StepBlocks(train_reader, order, position, steps=_steps_per_block(user_callbacks))
    return Fit(task, data.spec, trainer, selection, watch, path, blocks, val_block)


def _where(resume: str | None, state: dict[str, Any]) -> str:
    if not resume:
        return ""
    if not state:
        return "the run was stopped before its first checkpoint: starting it again"
    at = state["bmx"]["position"]
    return f"going on in epoch {at['epoch'] + 1} after step {at['step']:,}"


def _best_writer(prepared: Prepared, config_yaml: str, recipe: Sequence[Step]) -> Callable[[Path, FitTask], None]:
    def save_best(path: Path, task: FitTask) -> None:
        row = task.epoch_row
        facts = {
            "epoch": int(row["epoch"]),
            "step": int(row["step"]),
            "metrics": {name: float(value) for name, value in row.items() if "/" in name},
        }
        predictor.save_model(path, task.state_dict(), prepared.data.spec, config_yaml, facts, recipe)

    return save_best


_STEP_HOOKS = ("on_train_batch_start", "on_train_batch_end")
_UNCALLED_HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_before_zero_grad")


def _has_hook(callback: Any, hook: str) -> bool:
    return getattr(type(callback), hook, None) is not getattr(Callback, hook)


def _steps_per_block(callbacks: list[Any]) -> int:
    """1 if a callback of the user's wants to be called at every step, else 0 (the whole epoch).

    Raises:
        UsageError: a callback has a hook that is never called, because bmx steps the optimiser itself.
    """
    for callback in callbacks:
        for hook in _UNCALLED_HOOKS:
            if _has_hook(callback, hook):
                raise UsageError(
                    f"{type(callback).__name__}.{hook} would never be called: bmx steps the optimiser itself",
                    "trainer.callbacks",
                    "use on_train_batch_start or on_train_batch_end",
                )
    return int(any(_has_hook(callback, hook) for callback in callbacks for hook in _STEP_HOOKS))


def save_unfitted(prepared: Prepared, net: nn.Module, run_dir: Path, recipe: Sequence[Step]) -> None:
    """Writes best.ckpt of a model that is used as it is, without training."""
    state = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    stage = InputStage.fitted(prepared.data.spec, prepared.data.train)
    state |= {f"input_stage.{name}": tensor for name, tensor in stage.state_dict().items()}
    best = best_file(run_dir)
    best.parent.mkdir(exist_ok=True)
    config_yaml = OmegaConf.to_yaml(prepared.cfg, resolve=True)
    predictor.save_model(best, state, prepared.data.spec, config_yaml, {"epoch": 0, "step": 0, "metrics": {}}, recipe)


def best_file(run_dir: Path) -> Path:
    """Where a run keeps the model that is tested and used."""
    return run_dir / "checkpoints" / BEST
