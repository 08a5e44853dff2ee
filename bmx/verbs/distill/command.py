"""bmx distill: trains a student with frozen teachers, and compares it with them and with the student alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from bmx.config.checked import Checked, prepared_for
from bmx.config.compose import compose_other
from bmx.config.python_validation import conforming
from bmx.engine.build import make_model, sources_kept
from bmx.engine.fit import best_file
from bmx.engine.prepare import Prepared, prepare
from bmx.engine.warm_start import model_file
from bmx.export.reading import load
from bmx.runs import result as results
from bmx.runs.directory import create
from bmx.runs.recording import Recording
from bmx.runs.report import distillation as report
from bmx.targets.standing import with_its_trust
from bmx.tasks.distill import DistillTask
from bmx.verbs.distill.comparison import compare
from bmx.verbs.distill.setup import check_method, load_teachers, make_lesson, match_layers
from bmx.verbs.distill.student import Student, find_student
from bmx.verbs.distill.teachers import Named, choices_of, named_teachers
from bmx.verbs.recording.chosen_words import chosen_words
from bmx.verbs.recording.fit_run import FitJob, Start, fit_and_test
from bmx.verbs.recording.prerequisite import brief_job, trained
from bmx.verbs.recording.run_data import what_changed
from bmx.verbs.train.command import start as start_training

# The role of a run that `teacher=latest` skips.
_ALONE = "student alone"


@dataclass(frozen=True)
class Begun:
    """The validated parts of a distillation."""

    prepared: Prepared
    student: Student
    teachers: list[Named]
    notes: list[str]
    changes: list[str]


@conforming("distill")
@with_its_trust
def check(cfg: DictConfig) -> Checked[Begun]:
    """Checks that a configuration can run, without writing anything; returns the prepared parts for the run.

    Raises:
        UsageError: it cannot; the message names the key and the remedy.
    """
    return Checked(cfg, _prepare(cfg))


@conforming("distill")
@with_its_trust
def chooses_by(cfg: DictConfig, checked: Checked[Begun] | None = None) -> str | None:
    """The validation metric that a sweep over this configuration selects by; None without a validation set."""
    return prepared_for(cfg, checked, _prepare).prepared.validation_metric


@conforming("distill")
@with_its_trust
def distill(
    cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False, checked: Checked[Begun] | None = None
) -> dict[str, Any]:
    """Fits a student and returns the result, which is also in result.json, with the comparison under ``distillation``.

    Teachers given as ``model`` options are trained first, and so is the student alone with ``cfg.baseline``; each in a
    run directory of its own, and only if no equal run exists.

    Args:
        cfg: the composed configuration of ``bmx distill``; see :func:`bmx.compose`.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run.
        RunFailed: a training failed; the status in result.json is ``failed``.
    """
    begun = prepared_for(cfg, checked, _prepare)
    prepared, student, named = begun.prepared, begun.student, begun.teachers
    cfg = prepared.cfg
    for note in () if quiet else [*begun.notes, *begun.changes]:
        print(note, flush=True)
    name = str(cfg.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), "distill", name)
    try:
        files = [_file(one, cfg, quiet) for one in named]
        alone = _alone(prepared, student, quiet) if cfg.baseline else None
    except BaseException as error:
        results.start(run_dir, "distill", name)
        Recording(run_dir).end(error)
        raise

    def start(prepared: Prepared, run_dir: Path) -> Start:
        predictors = load_teachers(files, prepared)
        net = student.build(prepared)
        lesson = make_lesson(prepared, net, predictors)
        return Start(net, student.recipe, make_task=partial(DistillTask, lesson=lesson))

    facts: dict[str, Any] = {"teachers": [str(file) for file in files], "alone": str(alone) if alone else None}
    facts["changes"] = begun.changes
    words, _ = chosen_words()
    if cfg.get("student"):
        facts["choices"] = {**words, "model": Path(str(cfg.student)).name}
    job = FitJob(
        "distill",
        start,
        parent=str(files[0]),
        facts=facts,
        conclude=lambda result, run, tested: {
            "distillation": compare(prepared, run, tested, files, [one.shown for one in named], alone)
        },
        show=report.show,
    )
    return fit_and_test(prepared, job, run_dir, quiet)


def _prepare(cfg: DictConfig) -> Begun:
    notes, other = [], []
    student = find_student(cfg)
    if cfg.get("student"):
        other += [f"student: {line}" for line in what_changed(load(model_file(str(cfg.student), Path(cfg.outputs))))]
    with sources_kept():
        prepared = prepare(student.cfg, student.make())
        named = named_teachers(prepared.cfg)
        method = check_method(prepared, len(named))
        for one in named:
            if one.file is not None:
                (predictor,) = load_teachers([one.file], prepared)
                net, spec = predictor.net, predictor.spec
            else:
                assert one.cfg is not None
                spec = prepare(one.cfg).data.spec
                net = make_model(one.cfg.model, spec)
            if one.file is not None:
                told = what_changed(load(one.file), prepared.data, prepared.cfg.data)
                other += [f"{one.shown}: {line}" for line in told]
            if spec.name != prepared.data.spec.name:
                notes.append(f"{one.shown} was trained on {spec.name}, and is shown {prepared.data.spec.name} here")
            if method.layers is not None:
                from bmx.data.pipeline.random_inputs import random_inputs

                samples = (random_inputs(prepared.data.spec, 2), random_inputs(spec, 2))
                own = student.make()(prepared.data.spec)
                match_layers(method, own, net, samples, prepared.data.train.targets)
    return Begun(prepared, student, named, notes, other)


def _file(one: Named, cfg: DictConfig, quiet: bool) -> Path:
    """The model file of a teacher, trained first if it is given as a ``model`` option."""
    if one.file is not None:
        return one.file
    assert one.cfg is not None
    words, _ = chosen_words()
    job = brief_job(choices_of(one.word, cfg, words), "teacher", FitJob("train", start_training))
    role = "teacher" if one.seed is None else f"teacher, seed {one.seed}"
    return best_file(trained(copy.deepcopy(one.cfg), role, job, quiet))


def _alone(prepared: Prepared, student: Student, quiet: bool) -> Path:
    """The baseline run, the student without a teacher: same data, augmentation, optimiser and epochs."""
    own = copy.deepcopy(prepared.cfg)
    # Settings of `bmx train` that this verb lacks keep their defaults there.
    cfg = compose_other("train", [])
    with open_dict(cfg):
        for key in cfg:
            if key in own:
                cfg[key] = own[key]
        cfg.name = str(own.name or "run")
        cfg.resume = None
        if "augmentation" in own:
            cfg.augmentation = own.augmentation
        for name in prepared.auto:
            cfg[name] = "auto"
    words, _ = chosen_words()
    words.pop("distillation", None)

    def start(prepared: Prepared, run_dir: Path) -> Start:
        return Start(student.build(prepared), student.recipe)

    return trained(cfg, _ALONE, brief_job(words, _ALONE, FitJob("train", start)), quiet, student.make())
