"""Loads the parent model of a compression, applies the method, and finalises the model file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn

from bmx.compression import earlier_stages
from bmx.compression.low_rank.sensitivity import layer_sensitivity
from bmx.compression.method import Context, Method, Outcome
from bmx.compression.rebuild import rebuild
from bmx.compression.recipe import Step
from bmx.data.pipeline.prepare import DataSet
from bmx.data.spec import DataSpec
from bmx.engine import random_state
from bmx.engine.build import make_method, make_model
from bmx.engine.device import Device
from bmx.engine.evaluation import evaluate
from bmx.engine.fit import best_file
from bmx.engine.predictor import Predictor, load_model, read_model, save_model
from bmx.engine.prepare import Prepared, prepare
from bmx.engine.saved_check import CHECKED, check_saved
from bmx.engine.trust_check import judged
from bmx.engine.warm_start import model_file
from bmx.errors import RunFailed, UsageError
from bmx.export.reading import Loaded, load, load_plain, load_predictor
from bmx.tasks.distill import DistillTask
from bmx.tasks.fit import FitTask
from bmx.tasks.losses import objective_for
from bmx.verbs.compress.comparison import Change
from bmx.verbs.distill.setup import check_method, load_teachers, make_lesson
from bmx.verbs.recording.fit_run import Start, part_of
from bmx.verbs.recording.run_data import what_changed

COMPRESSED = "compressed.ckpt"
"""Checkpoint of the compressed model before fine-tuning; a resumed run starts here."""

EPOCHS = 2
"""Epochs of fine-tuning, where neither the command nor the method sets them."""

_BATCH = 100


def find_parent(cfg: DictConfig) -> Path:
    """The model file of ``cfg.run``.

    Raises:
        UsageError: there is no such run, or it has no model.
    """
    return model_file(str(cfg.run), Path(cfg.outputs))


def split_of(cfg: DictConfig) -> str:
    """The split that the compressed model is evaluated on: ``test`` or ``val``; a training configures neither."""
    return str(OmegaConf.select(cfg, "split") or "test")


@dataclass(frozen=True)
class Parent:
    """The validated configuration and parent model of a compression.

    Attributes:
        prepared: the configuration of its fine-tuning.
        model: the model to compress, as loaded from its file.
    """

    prepared: Prepared
    model: Loaded


def prepare_compression(cfg: DictConfig, model: Loaded | None = None) -> Parent:
    """Checks ``cfg`` with the parent's model and data, as for a training.

    Args:
        cfg: of ``bmx compress``.
        model: the model of ``cfg.run``, if it is already loaded.

    Raises:
        UsageError: for the first invalid setting.
    """
    model = model or load_plain(find_parent(cfg))
    parent = model.predictor
    method = make_method(cfg.compression)
    cfg = _with_parent(cfg, parent.config, model.file)
    if cfg.epochs is None:
        cfg.epochs = getattr(method, "epochs", EPOCHS)
    earlier_stages.check(parent.net, method, cfg.epochs)
    recipe, source = parent.recipe, None
    stored = Path(cfg.resume) / "checkpoints" / COMPRESSED if cfg.resume else None
    if stored is not None and stored.exists():
        recipe, source = read_model(stored).get("recipe", []), stored
    trained = copy.deepcopy(cfg)
    trained.epochs = max(1, cfg.epochs)
    prepared = prepare(trained, lambda spec: rebuild(make_model(cfg.model, spec), recipe, source))
    _same_kind(parent.spec, prepared.data.spec)
    part_of(prepared.data, split_of(cfg))
    prepared = replace(prepared, cfg=cfg, output_stage=parent.output_stage)
    if OmegaConf.select(cfg, "distillation") is not None:
        check_method(prepared, 1)
        if cfg.teacher:
            load_teachers([model_file(str(cfg.teacher), Path(cfg.outputs))], prepared)
    return Parent(prepared, model)


def since_then(prepared: Prepared, parent: Loaded) -> list[str]:
    """Sentences on what has changed since the parent, and its teacher, were trained: data, code, versions.

    Args:
        prepared: the configuration, with the parent's data where it names none.
        parent: the model that is compressed.
    """
    cfg = prepared.cfg
    told = what_changed(parent, prepared.data, cfg.data)
    if OmegaConf.select(cfg, "distillation") is not None and cfg.teacher:
        teacher = load(model_file(str(cfg.teacher), Path(cfg.outputs)))
        told += [f"teacher: {line}" for line in what_changed(teacher, prepared.data, cfg.data) if line not in told]
    return told


def _with_parent(cfg: DictConfig, own: DictConfig, file: Path) -> DictConfig:
    """The configuration with the parent's model, and its data, batch size and seed where none are given."""
    cfg = copy.deepcopy(cfg)
    with open_dict(cfg):
        cfg.model = judged(own.model, "model", file)
        cfg.init_from = None
        if OmegaConf.select(cfg, "data") is None:
            cfg.data = judged(own.get("data"), "data", file)
        for knob in ("batch_size", "seed"):
            if cfg[knob] is None:
                cfg[knob] = own[knob]
    return cfg


def _same_kind(trained_on: DataSpec, now: DataSpec) -> None:
    for fact in ("kind", "input_shape", "num_classes", "vocabulary"):
        if getattr(trained_on, fact) != getattr(now, fact):
            raise UsageError(
                f"the run was trained on {trained_on.name}, {now.name} has another {fact.replace('_', ' ')}",
                f"data={now.name}",
                "leave data= out to go on with the run's own",
            )


class Compressing:
    """State of one compression over its run.

    Args:
        original: the model to compress.
        epochs: of fine-tuning.
    """

    def __init__(self, original: Predictor, epochs: int) -> None:
        self.original = original
        self.epochs = epochs
        self.outcome: Outcome | None = None
        self.context: Context | None = None
        self.prepared: Prepared | None = None

    @property
    def change(self) -> Change:
        """The changes made so far."""
        assert self.outcome is not None
        return Change(self.outcome.layers, self.outcome.facts, self.epochs)

    def start(self, prepared: Prepared, run_dir: Path) -> Start:
        """Compresses the parent's model and saves the outcome; loads the saved one if the run is resumed."""
        cfg = prepared.cfg
        random_state.seed_everything(int(cfg.seed))
        self.prepared = prepared
        self.context = context_for(prepared, self.original)
        method = make_method(cfg.compression)
        self.outcome = outcome = self._compressed(method)
        if OmegaConf.select(cfg, "sensitivity"):
            rows = layer_sensitivity(copy.deepcopy(self.original.net).eval(), self.context)
            self.outcome = outcome = replace(outcome, facts={**outcome.facts, "sensitivity": rows})
        recipe = [*self.original.recipe, *outcome.recipe]
        file = run_dir / "checkpoints" / COMPRESSED
        if file.exists():
            self._take_up(file, recipe)
        else:
            file.parent.mkdir(exist_ok=True)
            self._save(file, outcome.net, prepared, OmegaConf.to_yaml(cfg, resolve=True), recipe)
        random_state.seed_everything(int(cfg.seed))
        # Weights that an earlier compression pruned stay pruned, whatever this one does.
        tuning = earlier_stages.holding(outcome.net, outcome.tuning)
        return Start(outcome.net, recipe, tuning, self._task(prepared, outcome.net))

    def _compressed(self, method: Method) -> Outcome:
        assert self.context is not None
        try:
            return method(copy.deepcopy(self.original.net).eval(), self.context)
        except UsageError as error:
            if not any(step.get("kind") == "quantize" for step in self.original.recipe):
                raise
            fix = "compress the run that it was quantised from: rounding to few bits comes last"
            raise UsageError(f"{error.what}; this model is quantised already", error.where, fix) from error

    def _task(self, prepared: Prepared, net: nn.Module) -> Callable[..., FitTask]:
        """The task class of fine-tuning: plain, or with distillation from ``teacher=`` or else the original."""
        cfg = prepared.cfg
        if OmegaConf.select(cfg, "distillation") is None:
            return FitTask
        teacher = OmegaConf.select(cfg, "teacher")
        file = model_file(str(teacher), Path(cfg.outputs)) if teacher else None
        original = load_predictor(file) if file else copy.deepcopy(self.original)
        return partial(DistillTask, lesson=make_lesson(prepared, net, [original]))

    def _take_up(self, file: Path, recipe: list[Step]) -> None:
        """Loads the compressed weights that the interrupted run saved.

        Raises:
            RunFailed: the method now gives another architecture; a budget in milliseconds can do that.
        """
        assert self.outcome is not None
        kept = read_model(file)
        if kept.get("recipe", []) != recipe:
            if self.outcome.tuning is not None or self.outcome.finish is not None:
                raise RunFailed(
                    "the compression came out different from when the run was started",
                    str(file),
                    "start it again without resume=",
                )
            net = load_model(file).net
            self.outcome = replace(self.outcome, net=net, recipe=kept.get("recipe", [])[len(self.original.recipe) :])
            return
        weights = {k.removeprefix("net."): t for k, t in kept["state_dict"].items() if k.startswith("net.")}
        self.outcome.net.load_state_dict(weights)

    def finish(self, run_dir: Path) -> None:
        """Converts the best model to its final form, where its method has one."""
        assert self.outcome is not None and self.context is not None and self.prepared is not None
        if self.outcome.finish is None:
            return
        file = best_file(run_dir)
        model = load_model(file)
        recipe = [*self.original.recipe, *self.outcome.recipe]
        if len(model.recipe) > len(recipe):
            return  # a run that was interrupted after this
        final = self.outcome.finish(model.net, self.context)
        content = read_model(file)
        facts: dict[str, Any] = {
            name: content[name] for name in ("epoch", "step", "metrics", "origin") if name in content
        }
        self._save(file, final.net, self.prepared, content["config"], [*recipe, *final.recipe], facts)
        self.outcome = replace(
            self.outcome, layers=final.layers or self.outcome.layers, facts=self.outcome.facts | final.facts
        )

    def _save(
        self,
        file: Path,
        net: nn.Module,
        prepared: Prepared,
        config: str,
        recipe: list[Step],
        facts: dict[str, Any] | None = None,
    ) -> None:
        state = {f"net.{name}": t for name, t in net.state_dict().items()}
        for part in ("input_stage", "output_stage"):
            state |= {f"{part}.{name}": t for name, t in getattr(self.original, part).state_dict().items()}
        save_model(file, state, self.original.spec, config, facts or {"epoch": 0, "step": 0, "metrics": {}}, recipe)
        check_saved(file, net, self.original.input_stage, prepared.data.train.inputs[:CHECKED])


def context_for(prepared: Prepared, model: Predictor) -> Context:
    """The inputs of a compression method: calibration samples of the training set, loss, validation score."""
    data, spec = prepared.data, prepared.data.spec
    objective = objective_for(spec)
    stage, units = model.input_stage, model.output_stage
    cpu = Device(torch.device("cpu"), "32-true")

    def score(net: nn.Module) -> float:
        if data.val is None:
            fix = "train the run with data.val_size=0.1, or choose a method that does not measure"
            raise UsageError("this needs a validation set, and the run held nothing out", "data.val_size=0", fix)
        was = net.training
        net.eval()
        metrics = evaluate(lambda raw: units(net(stage(raw))), data.val, spec, cpu).metrics
        net.train(was)
        value = metrics[objective.scored.name] * (100 if objective.scored.percent else 1)
        return value if objective.scored.higher_is_better else -value

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return objective.loss(outputs, units.standardised(targets))

    with torch.inference_mode():
        example = stage(prepared.example())
    return Context(spec, example.clone(), _calibration(data, stage, int(prepared.cfg.seed)), loss, score,
                   int(prepared.cfg.seed), _initial(model))  # fmt: skip


def _initial(model: Predictor) -> Callable[[], nn.Module] | None:
    """Rebuilds the initial net of ``model``'s training from its seed; None if that began with other weights."""
    began_elsewhere = ("init_from", "compression", "teacher")
    if model.recipe or any(OmegaConf.select(model.config, key) is not None for key in began_elsewhere):
        return None

    def make() -> nn.Module:
        random_state.seed_everything(int(model.config.seed))
        return make_model(model.config.model, model.spec)

    return make


def _calibration(data: DataSet, stage: nn.Module, seed: int) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    """Calibration batches: training samples drawn without replacement, the same each time; never val or test."""

    def samples(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data.train), generator=generator)[:n]
        for part in chosen.split(_BATCH):
            inputs, targets = data.train.batch(part)
            with torch.no_grad():
                staged = stage(inputs)
            yield staged, targets

    return samples
