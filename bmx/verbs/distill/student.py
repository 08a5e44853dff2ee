"""Resolves the student of a distillation: a ``model`` option, or the model of an earlier run with its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from bmx.compression.rebuild import rebuild
from bmx.compression.recipe import Step
from bmx.data.spec import DataSpec
from bmx.engine import fit
from bmx.engine.build import make_model
from bmx.engine.predictor import read_model
from bmx.engine.prepare import Prepared
from bmx.engine.trust_check import judged
from bmx.engine.warm_start import model_file, weights_for


@dataclass(frozen=True)
class Student:
    """The student's architecture and initial weights.

    Attributes:
        cfg: the configuration, with the student's model in it.
        recipe: compression steps to apply to the architecture, if it comes from a compressed model.
        file: the file that the recipe was read from.
    """

    cfg: DictConfig
    recipe: Sequence[Step] = ()
    file: Path | None = None

    def make(self) -> Callable[[DataSpec], nn.Module]:
        """The function that builds the architecture for a data spec."""
        return lambda spec: rebuild(make_model(self.cfg.model, spec), self.recipe, self.file)

    def build(self, prepared: Prepared) -> nn.Module:
        """Builds the student with its initial weights."""
        cfg = prepared.cfg
        net = rebuild(fit.build_net(prepared), self.recipe, self.file)
        if cfg.init_from and not prepared.goes_on:
            net.load_state_dict(weights_for(net, str(cfg.init_from), Path(cfg.outputs)))
        return net


def find_student(cfg: DictConfig) -> Student:
    """Resolves ``student=``.

    Raises:
        UsageError: a run without a model.
    """
    if not cfg.get("student"):
        return Student(cfg)
    file = model_file(str(cfg.student), Path(cfg.outputs))
    content = read_model(file)
    own = OmegaConf.create(content["config"])
    assert isinstance(own, DictConfig)
    cfg = copy.deepcopy(cfg)
    with open_dict(cfg):
        cfg.model = judged(own.model, "model", file)
        cfg.init_from = str(file)
    return Student(cfg, content.get("recipe", []), file)
