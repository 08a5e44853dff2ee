"""Resolves the models that `bmx bench` measures: untrained architectures, runs, and exported files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from bmx.data.pipeline.prepare import DataSet
from bmx.data.pipeline.shapes import known_spec
from bmx.data.spec import DataSpec
from bmx.engine import random_state
from bmx.engine.build import make_model, make_source
from bmx.engine.predictor import Predictor
from bmx.engine.warm_start import model_file
from bmx.errors import UsageError
from bmx.export.reading import Loaded, load
from bmx.measure.cost import Cost
from bmx.runs.finding import find
from bmx.verbs.recording.run_data import data_for

DEFAULT_DATA = "bmx.data.mnist_5k.mnist_5k"


@dataclass(frozen=True)
class Subject:
    """One model to be measured.

    Attributes:
        name: its name in the table.
        loaded: the model; the file of an untrained one does not exist.
        run: the file it was read from; None for an untrained model.
        cost: parameters, MACs and bytes.
        data: its data, if they were requested and can be loaded.
        note: a remark on the data, such as why they could not be loaded.
        metrics: of the float32 model in torch on the CPU, on the test set of its data; empty where unknown.
    """

    name: str
    loaded: Loaded
    run: str | None
    cost: Cost
    data: DataSet | None = None
    note: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def net(self) -> nn.Module | None:
        return self.loaded.net

    @property
    def spec(self) -> DataSpec:
        return self.loaded.spec


def check(cfg: DictConfig) -> None:
    """Checks that there is something to measure.

    Raises:
        UsageError: neither a model nor a run, or both, or a model that cannot be built.
    """
    if bool(runs(cfg)) == (OmegaConf.select(cfg, "model") is not None):
        both = "both a run and a model" if runs(cfg) else "nothing to measure"
        raise UsageError(both, "bmx bench", "name a model, as in model=lenet5, or runs, as in run=latest")
    if not runs(cfg):
        untrained(cfg)
    for run in runs(cfg):
        load(model_file(run, Path(cfg.outputs)))


def runs(cfg: DictConfig) -> list[str]:
    """The runs that the configuration names; empty for none."""
    if cfg.run is None:
        return []
    return [str(run) for run in cfg.run] if OmegaConf.is_list(cfg.run) else [str(cfg.run)]


def subjects(cfg: DictConfig, want_data: bool) -> list[Subject]:
    """The models of a configuration, each with its cost.

    Args:
        cfg: of ``bmx bench``.
        want_data: load the data of runs too; the subject's note tells where they cannot be loaded.
    """
    if not runs(cfg):
        return [untrained(cfg)]
    found = []
    for run in runs(cfg):
        file = model_file(run, Path(cfg.outputs))
        loaded = load(file)
        data, note = _data(cfg, loaded) if want_data else (None, "")
        found.append(Subject(_run_name(run, file, loaded, cfg), loaded, str(file), loaded.cost(), data, note))
    return _told_apart(found)


def untrained(cfg: DictConfig) -> Subject:
    """The model of ``model=``, built for the shapes of ``data=`` without loading data where that can be helped."""
    spec = _spec(cfg)
    # Only so that the weights are the same each time: nothing that is measured depends on them.
    random_state.seed_everything(0)
    net = make_model(cfg.model, spec).eval()
    if spec.form.channels_last:
        net.to(memory_format=torch.channels_last)
    predictor = Predictor(net, nn.Identity(), spec, cfg)
    loaded = Loaded(predictor, spec, cfg, Path())
    return Subject(str(cfg.name or "model"), loaded, None, loaded.cost())


def _spec(cfg: DictConfig) -> DataSpec:
    group: Any = OmegaConf.select(cfg, "data")
    if group is None:
        spec = known_spec(DEFAULT_DATA, {})
        assert spec is not None
        return spec
    spec = known_spec(str(group._target_), group)
    return spec if spec is not None else make_source(group).spec


def _data(cfg: DictConfig, loaded: Loaded) -> tuple[DataSet | None, str]:
    try:
        return data_for(cfg, loaded.spec, loaded.config, loaded.file), ""
    except UsageError as error:
        if OmegaConf.select(cfg, "data") is not None:
            raise
        return None, f"no accuracy, and int8 calibrated with noise: {error.what}"


def _run_name(run: str, file: Path, loaded: Loaded, cfg: DictConfig) -> str:
    name = str(loaded.config.get("name") or file.stem)
    return f"{name} ({loaded.format})" if loaded.net is None else name


def _told_apart(found: list[Subject]) -> list[Subject]:
    """Subjects with unique names: the id is added where two runs have the same name."""
    names = [subject.name for subject in found]
    return [replace(s, name=f"{s.name} {_id(s)}") if names.count(s.name) > 1 else s for s in found]


def _id(subject: Subject) -> str:
    try:
        return find(str(subject.run), Path()).name
    except UsageError:
        return str(subject.run)
