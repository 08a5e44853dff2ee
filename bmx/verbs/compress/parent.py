"""The model that a compression begins with, loaded once, and the configuration of its fine-tuning."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.compression import earlier_stages
from bmx.compression.rebuild import rebuild
from bmx.data.spec import DataSpec
from bmx.engine.build import make_method, make_model
from bmx.engine.callbacks import check_tuned, make_callbacks
from bmx.engine.predictor import read_model
from bmx.engine.prepare import Prepared, prepare
from bmx.engine.trust_check import judged
from bmx.engine.warm_start import model_file
from bmx.errors import UsageError
from bmx.export.reading import Loaded, load, load_plain
from bmx.verbs.distill.setup import check_method, load_teachers
from bmx.verbs.recording.fit_run import part_of
from bmx.verbs.recording.run_data import what_changed

COMPRESSED = "compressed.ckpt"
"""The model as the method left it, before fine-tuning; a run that is resumed begins here."""

EPOCHS = 2
"""Of fine-tuning, where neither the command nor the method says."""


def find_parent(cfg: DictConfig) -> Path:
    """The model file of ``cfg.run``.

    Raises:
        UsageError: there is no such run, or it has no model.
    """
    return model_file(str(cfg.run), Path(cfg.outputs))


def split_of(cfg: DictConfig) -> str:
    """What the compressed model is measured on: ``test`` or ``val``; a training says neither."""
    return str(OmegaConf.select(cfg, "split") or "test")


@dataclass(frozen=True)
class Parent:
    """What a compression begins with, found sound.

    Attributes:
        prepared: the configuration of its fine-tuning.
        model: the model that is compressed, as its file holds it.
    """

    prepared: Prepared
    model: Loaded


def prepare_compression(cfg: DictConfig, model: Loaded | None = None) -> Parent:
    """Checks ``cfg`` with the parent's model and data, as a training of it would be.

    Args:
        cfg: of ``bmx compress``.
        model: the model of ``cfg.run``, where it has been loaded.

    Raises:
        UsageError: the first thing that could not work.
    """
    model = model or load_plain(find_parent(cfg))
    parent = model.predictor
    method = make_method(cfg.compression)
    cfg = _with_parent(cfg, parent.config, model.file)
    if cfg.epochs is None:
        cfg.epochs = getattr(method, "epochs", EPOCHS)
    earlier_stages.check(parent.net, method, cfg.epochs)
    if cfg.epochs:
        check_tuned(make_callbacks(cfg.trainer.callbacks), method, ", or use epochs=0")
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
    """What is not as it was when the parent was made, and its teacher; in sentences.

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
