"""Resolves ``teacher=``: existing runs and model files, and ``model`` options that are trained first."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.config.compose import compose_other
from bmx.config.quoting import written
from bmx.engine.warm_start import model_file
from bmx.errors import UsageError
from bmx.runs.best_job import name_of
from bmx.runs.finding import find, holds_run


@dataclass(frozen=True)
class Named:
    """One teacher: a model file, or the configuration to train it with.

    Attributes:
        word: an option of the ``model`` group, or the name of a run.
        file: the model file; None for a ``model`` option.
        cfg: the training configuration; None for a file.
        seed: of a ``model`` option, where it is one of several.
    """

    word: str
    file: Path | None = None
    cfg: DictConfig | None = None
    seed: int | None = None

    @property
    def shown(self) -> str:
        """Its name in a table."""
        return self.word if self.seed is None else f"{self.word}, seed {self.seed}"


def named_teachers(cfg: DictConfig) -> list[Named]:
    """The teachers of ``cfg.teacher``, one name or a list.

    Raises:
        UsageError: no teacher, a name that is neither a run nor a ``model`` option, one that is named twice, or fields
            for a teacher that is a run.
    """
    words = [str(w) for w in cfg.teacher] if OmegaConf.is_list(cfg.teacher) else [str(cfg.teacher)]
    if not words or cfg.teacher is None:
        raise UsageError("there is no teacher", "teacher=", "name a run, or a model word that is trained first")
    seeds = _seeds(cfg)
    found = [one for word in words for one in _named(word, seeds, cfg)]
    _refuse_same([one.shown for one in found if one.file is None], f"teacher={','.join(words)}")
    asked = {
        **{f"teacher.{field}": (True, "leave it out") for field in cfg.teacher_fields},
        # An experiment may have set these; leaving them out of the command does not remove them.
        f"teacher_epochs={cfg.teacher_epochs}": (cfg.teacher_epochs, "teacher_epochs=null"),
        f"teacher_seeds={cfg.teacher_seeds}": (cfg.teacher_seeds, "teacher_seeds=[]"),
        f"teacher_words={cfg.teacher_words}": (cfg.teacher_words, "teacher_words=[]"),
    }
    if all(one.file is not None for one in found):
        for where, (is_asked, out) in asked.items():
            if is_asked:
                raise UsageError("the teacher is trained already", where, f"{out}, or name a model: teacher=mlp")
    return found


def _named(word: str, seeds: list[int], cfg: DictConfig) -> Iterator[Named]:
    file = _file(word, Path(cfg.outputs))
    if file is not None:
        yield Named(_name(file), file)
        return
    each: list[int | None] = [*seeds] or [None]
    for seed in each:
        yield Named(word, cfg=training_of(word, cfg, seed), seed=seed)


def _name(file: Path) -> str:
    """The name of the run that a model file belongs to, or else of the file."""
    run = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    return name_of(run) if holds_run(run) else file.stem


def _seeds(cfg: DictConfig) -> list[int]:
    return list(cfg.teacher_seeds)


def _refuse_same(names: list[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            fix = "name each teacher once; others of the same model have other seeds: teacher_seeds=0,1"
            raise UsageError(f"the teacher '{name}' is named twice", where, fix)


def _file(word: str, outputs: Path) -> Path | None:
    """The model file of a run; None for what looks like a ``model`` option."""
    looks = word == "latest" or word[:1].isdigit() or "/" in word or word.endswith(".ckpt") or Path(word).exists()
    if not looks:
        try:
            find(word, outputs)
        except UsageError:
            return None
    try:
        return model_file(word, outputs)
    except UsageError as error:
        raise UsageError(error.what, f"teacher={word}", error.fix) from error


def training_of(word: str, cfg: DictConfig, seed: int | None = None) -> DictConfig:
    """The `bmx train` configuration of a teacher given as a ``model`` option: the student's data, seed and device.

    Args:
        word: the option.
        cfg: of the student.
        seed: replaces the student's.

    Raises:
        UsageError: no such option, or fields that it does not have.
    """
    keys = set(_own_words(cfg))
    words = [f"model={word}", *(str(w) for w in cfg.teacher_words)]
    words += [f"model.{name}={written(value)}" for name, value in cfg.teacher_fields.items()]
    if cfg.teacher_epochs is not None:
        words.append(f"epochs={cfg.teacher_epochs}")
    for name in ("epochs", "batch_size"):
        if "experiment" not in keys and not (name in keys or (name == "epochs" and cfg.teacher_epochs is not None)):
            words.append(f"{name}={cfg[name]}")
    if seed is not None:
        words.append(f"seed={seed}")
        keys.add("seed")
    words += [f"{name}={cfg[name]}" for name in ("seed", "device", "precision") if name not in keys]
    try:
        made = compose_other("train", words)
    except UsageError as error:
        told = (error.what, error.where, error.fix)
        raise UsageError(*(text.replace("model=", "teacher=").replace("model.", "teacher.") for text in told)) from None
    own_fields = {key: OmegaConf.select(made, key) for key in keys if key.startswith("data.")}
    with open_dict(made):
        if "data" not in keys:
            made.data = _whole(cfg.data)
            for key, value in own_fields.items():
                OmegaConf.update(made, key, value)
        made.outputs, made.plots = cfg.outputs, cfg.plots
        made.trainer.threads = cfg.trainer.threads
        optimiser = str(made.optim._target_).rpartition(".")[2].lower()
        data = str(made.data._target_).rpartition(".")[2]
        made.name = "-".join([word, data, optimiser])
    return made


def choices_of(word: str, cfg: DictConfig, chosen: Mapping[str, str]) -> dict[str, str]:
    """The group choices of a teacher's training, for its record.

    Args:
        word: the ``model`` option of the teacher.
        cfg: of the student.
        chosen: the student's group choices.
    """
    data = _own_words(cfg).get("data", chosen.get("data"))
    return {"model": word} | ({"data": data} if data else {})


def _own_words(cfg: DictConfig) -> dict[str, str]:
    """The keys and values of the overrides in ``teacher_words``."""
    return {key.lstrip("+~"): value for key, _, value in (str(w).partition("=") for w in cfg.teacher_words)}


def _whole(data: DictConfig) -> Any:
    """The student's data with all classes, including those that are left out of its training."""
    plain = copy.deepcopy(OmegaConf.to_container(data, resolve=True))
    assert isinstance(plain, dict)
    return {**plain, "leave_out": []}
