"""Builds the distillation task: teachers, layers whose features are compared, cached teacher outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from bmx import __version__
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.loading import available_memory
from bmx.distillation.capture import Capture, choose_layer
from bmx.distillation.method import Distillation, Outputs
from bmx.distillation.teacher_cache import TeacherOutputs, bytes_of, digest, outputs_of
from bmx.distillation.teachers import Teacher, Teachers
from bmx.distillation.views import check_view, view
from bmx.engine.build import make_augmentation, make_distillation
from bmx.engine.predictor import Predictor
from bmx.engine.prepare import Prepared
from bmx.errors import UsageError
from bmx.export.reading import load_predictor
from bmx.runs.source_code import installed, own_code
from bmx.tasks.distill import Lesson, prepared_outputs


@dataclass(frozen=True)
class Layers:
    """Paths of the layers whose features a method compares, and the learned projections between them."""

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = ()
    learned: nn.ModuleList | None = None


def load_teachers(files: list[Path], prepared: Prepared) -> list[Predictor]:
    """The teachers' models, on the CPU.

    Raises:
        UsageError: one that cannot take these data.
    """
    found = []
    for file in files:
        predictor = load_predictor(file)
        check_view(predictor.spec, prepared.data.spec, f"teacher={file}")
        found.append(predictor)
    return found


def check_method(prepared: Prepared, teachers: int) -> Distillation:
    """Builds the method of ``distillation=``.

    Raises:
        UsageError: it does not support these data or this number of teachers.
    """
    cfg, spec = prepared.cfg, prepared.data.spec
    method = make_distillation(cfg.distillation)
    name = type(method).__name__
    if method.needs_classes and spec.task != "classification":
        raise UsageError(
            f"{name} compares classes, and {spec.name} has none", "distillation", "distillation=mse_logits"
        )
    if method.layers and teachers > 1:
        fix = "choose distillation=kd_std, which takes the mean of their logits, or one teacher"
        raise UsageError(f"{name} compares layers, and there are {teachers} teachers", "distillation", fix)
    if method.mixup and spec.form.unmixable:
        raise UsageError(spec.form.unmixable, "distillation.mixup", "distillation.mixup=0")
    return method


def match_layers(
    method: Distillation, student: nn.Module, teacher: nn.Module, samples: tuple[Tensor, Tensor], targets: Tensor
) -> Layers:
    """Pairs the layers of student and teacher whose features a method compares; builds the learned projections.

    Args:
        method: names the layers, or their kind.
        student: in any mode, which is restored.
        teacher: likewise.
        samples: a preprocessed batch for each of them.
        targets: of all training samples.

    Raises:
        UsageError: a path that does not exist, or a net without a layer of this kind.
    """
    if method.layers is None:
        return Layers()
    named = [method.student_layers, method.teacher_layers]
    most = max(len(n) if n else 1 for n in named)
    for key, given in zip(("student_layers", "teacher_layers"), named, strict=True):
        if most > 1 and not given:
            fix = f"write distillation.{key}=[...] with {most} paths"
            raise UsageError("layers are compared in pairs", f"distillation.{key}=null", fix)
    nets = (student, teacher)
    paths = [
        given or (choose_layer(net, batch, method.layers),)
        for given, net, batch in zip(named, nets, samples, strict=True)
    ]
    seen = []
    for net, batch, own, key in zip(nets, samples, paths, ("student_layers", "teacher_layers"), strict=True):
        capture, training = Capture(net, own, f"distillation.{key}"), net.training
        try:
            with torch.no_grad():
                net.eval()(batch)
            seen.append(capture.take())
        finally:
            net.train(training)
            capture.close()
    try:
        parts = [method.learned_part(s, t, targets) for s, t in zip(*seen, strict=True)]
    except ValueError as error:
        raise UsageError(str(error), "distillation", "choose another word, such as distillation=kd") from error
    needed = any(part is not None for part in parts)
    modules = nn.ModuleList(nn.Identity() if part is None else part for part in parts) if needed else None
    return Layers(tuple(paths[0]), tuple(paths[1]), modules)


def make_lesson(prepared: Prepared, net: nn.Module, predictors: list[Predictor]) -> Lesson:
    """Builds everything the task needs besides the student.

    Args:
        prepared: the configuration of the student.
        net: the student, on the CPU.
        predictors: the teachers, on the CPU.
    """
    method = check_method(prepared, len(predictors))
    batch, _ = prepared.data.train.batch(torch.arange(min(2, len(prepared.data.train))))
    members = [Teacher(p.net, p.input_stage, p.spec, p.output_stage) for p in predictors]
    layers = Layers()
    if method.layers is not None:
        first = members[0]
        dtype = next(net.parameters()).dtype
        own = InputStage(prepared.data.spec)(batch)
        samples = (own.to(dtype) if own.is_floating_point() else own, first.input_stage(view(batch, first.spec)))
        layers = match_layers(method, net, first.net, samples, prepared.data.train.targets)
    teachers = Teachers(members, layers.teacher)
    kept = _keep(prepared, method, predictors, teachers, layers, batch) if method.weight else None
    return Lesson(method, teachers, kept, layers.student, layers.learned)


def _keep(
    prepared: Prepared,
    method: Distillation,
    predictors: list[Predictor],
    teachers: Teachers,
    layers: Layers,
    batch: Tensor,
) -> TeacherOutputs | None:
    """Caches the teachers' outputs for all training samples, if they are the same in each epoch and memory allows."""
    cfg, data, device = prepared.cfg, prepared.data, prepared.device
    changing = method.mixup or make_augmentation(cfg.get("augmentation"), data.spec) is not None
    if changing or not cfg.keep_outputs:
        return None
    if bytes_of(teachers(batch), len(data.train)) > available_memory() // 4:
        return None
    teachers.to(device.where)

    def ask(raw: Tensor) -> Outputs:
        with device.autocast():
            return teachers(raw)

    split = (data.fingerprint, cfg.data.val_size, int(cfg.seed) if data.val is not None else None)
    facts = (
        *split,
        list(cfg.data.get("leave_out") or ()),
        layers.teacher,
        device.precision,
        device.where.type,
        *(OmegaConf.to_yaml(p.config.model, resolve=True) for p in predictors),
        *(repr(p.recipe) for p in predictors),
        *(_code(p) for p in predictors),
    )
    key = digest((p.state_dict() for p in predictors), *facts)
    outputs = outputs_of(key, ask, data.train, device.where)
    teachers.to(torch.device("cpu"))
    return TeacherOutputs(prepared_outputs(method, outputs, data.train.targets.to(device.where)))


def _code(teacher: Predictor) -> dict[str, str]:
    """The code of a teacher, for the cache key: user modules by hash, installed packages by version."""
    model = OmegaConf.to_container(teacher.config.model, resolve=True)
    return {name: found["code"] for name, found in own_code(model).items()} | installed(model) | {"bmx": __version__}
