"""The words of conf/model say what their classes take."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf" / "model"
DATA = {"input_shape", "num_classes", "num_outputs", "vocab_size", "max_length", "pad_id"}
# Words of a class of their own: what is left at its default in the code must not say otherwise in the file.
OF_THEIR_OWN = ["linear", "mlp", "lenet5", "cnn", "transformer", "vit"]
WORDS = sorted(path.stem for path in CONF.glob("*.yaml"))


def load(word: str) -> dict[str, Any]:
    config = OmegaConf.merge({"regularization": {"dropout": 0.0}}, OmegaConf.load(CONF / f"{word}.yaml"))
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    del plain["regularization"]
    return plain.get("model", plain)


def signature(target: str) -> inspect.Signature:
    module, _, name = target.rpartition(".")
    return inspect.signature(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("word", WORDS)
def test_every_key_is_a_field_and_every_field_a_key(word):
    fields = load(word)
    parameters = set(signature(fields.pop("_target_")).parameters)
    assert set(fields) <= parameters
    if word in OF_THEIR_OWN:
        assert parameters - set(fields) <= DATA


@pytest.mark.parametrize("word", OF_THEIR_OWN)
def test_the_file_has_the_defaults_of_the_class(word):
    fields = load(word)
    parameters = signature(fields.pop("_target_")).parameters
    for name, value in fields.items():
        default = parameters[name].default
        assert value == (list(default) if isinstance(default, tuple) else default), name


@pytest.mark.parametrize("word", WORDS)
def test_builds_for_mnist_or_for_tokens(word):
    fields = load(word)
    data: dict[str, Any] = {"input_shape": (1, 28, 28), "num_classes": 10, "num_outputs": 10}
    data |= {"vocab_size": 0, "max_length": 0, "pad_id": 0}
    if word == "transformer":
        data |= {"input_shape": (30,), "vocab_size": 40, "max_length": 30}
    asked = {k: v for k, v in data.items() if k in signature(fields["_target_"]).parameters and k not in fields}
    with torch.device("meta"):
        model = instantiate(fields, **asked)
        x = torch.empty(2, *data["input_shape"], dtype=torch.int64 if data["vocab_size"] else torch.float32)
        assert model(x).shape == (2, 10)
