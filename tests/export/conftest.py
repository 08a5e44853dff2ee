"""Small untrained predictors with the samples they could have been trained on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from omegaconf import OmegaConf

from bmx.data.arrays import Arrays
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.spec import DataSpec
from bmx.engine.build import make_model
from bmx.engine.predictor import Predictor


@dataclass(frozen=True)
class Case:
    predictor: Predictor
    arrays: Arrays

    @property
    def raw_dtype(self) -> torch.dtype:
        return self.arrays.inputs.dtype


def make(kind: str) -> Case:
    torch.manual_seed(0)
    target, fields, spec = {
        "image": ("bmx.models.lenet5.LeNet5", {}, DataSpec("x", "image", (1, 8, 8), 3, ("é", "b", "c"))),
        "tokens": (
            "bmx.models.transformer.Transformer",
            {"depth": 1, "width": 16},
            DataSpec("t", "tokens", (9,), 3, ("a", "b", "c"), vocab_size=20, vocabulary=tuple("abcdefghijklmnopqrst")),
        ),
        "table": ("bmx.models.mlp.MLP", {"hidden": [8]}, DataSpec("r", "table", (5,), 0)),
    }[kind]
    inputs = {
        "image": torch.randint(0, 256, (40, *spec.input_shape), dtype=torch.uint8),
        "tokens": torch.randint(0, 20, (40, 9), dtype=torch.uint8),
        "table": 50 * torch.randn(40, 5) + 100,
    }[kind]
    targets = torch.randint(0, 3, (40,)) if spec.num_classes else torch.randn(40)
    arrays = Arrays(inputs, targets)
    config = OmegaConf.create({"model": {"_target_": target, **fields}, "trainer": {"channels_last": True}, "seed": 0})
    net = make_model(config.model, spec)
    return Case(Predictor(net, InputStage.fitted(spec, arrays), spec, config).eval(), arrays)


@pytest.fixture(params=["image", "tokens", "table"])
def case(request: pytest.FixtureRequest) -> Case:
    return make(request.param)


@pytest.fixture
def images() -> Case:
    return make("image")
