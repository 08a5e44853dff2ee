"""A quick copy of a configuration is the copy that OmegaConf makes: nodes, what is known of them, who holds whom."""

import copy
from dataclasses import dataclass, field
from enum import Enum

import pytest
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, ReadonlyConfigError

from bmx.config import node_copies
from bmx.config.search_path import make_loader

Colour = Enum("Colour", "RED BLUE")


@dataclass
class Inner:
    number: int = 3
    either: int | str = "x"


@dataclass
class Typed:
    colour: Colour = Colour.BLUE
    inner: Inner = field(default_factory=Inner)
    listed: list[float] = field(default_factory=lambda: [1.0, 2.0])
    raw: bytes = b"x"
    missing: str = "???"


@pytest.fixture
def slow_copy(monkeypatch):
    """OmegaConf's own copies, whatever has been installed."""
    import importlib.util

    fresh = {}
    for kind, name in ((DictConfig, "dictconfig"), (ListConfig, "listconfig")):
        spec = importlib.util.find_spec(f"omegaconf.{name}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        fresh[kind] = getattr(module, kind.__name__).__deepcopy__
        module.__dict__[kind.__name__] = kind  # what its functions make

    def copied(config):
        with monkeypatch.context() as patch:
            for kind, function in fresh.items():
                patch.setattr(kind, "__deepcopy__", function)
            return copy.deepcopy(config)

    return copied


def assert_same(one, other, path="", parents=None):
    assert type(one) is type(other) and one._metadata == other._metadata, path
    assert one._metadata is not other._metadata and one._metadata.flags is not other._metadata.flags
    assert vars(one).keys() == vars(other).keys(), path
    if parents is not None:
        assert (one._parent, other._parent) == parents or (one._parent is parents[0] and other._parent is parents[1])
    first, second = vars(one).get("_content"), vars(other).get("_content")
    if isinstance(first, dict):
        assert list(first) == list(second) and first is not second, path
        for key in first:
            assert_same(first[key], second[key], f"{path}.{key}", (one, other))
    elif isinstance(first, list):
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{path}.{number}", (one, other))
    else:
        assert vars(one).get("_val") == vars(other).get("_val") and type(first) is type(second), path


def configs():
    train = make_loader("train").load_configuration("train", ["data=iris", "lr=0.5", "model=cnn"], RunMode.RUN)
    OmegaConf.set_readonly(train.trainer, True)
    plain = OmegaConf.create(
        {"a": {"b": [1, {"c": None}, "${a.b}", "???"], 3: True}, "none": None, "ref": "${a}", "also": "???"},
        flags={"allow_objects": True},
    )
    plain.thing = Colour
    assert plain.ref.b[0] == 1
    return {"train": train, "part": train.model, "plain": plain, "typed": OmegaConf.structured(Typed), "node": plain.a}


@pytest.mark.parametrize("name", ["train", "part", "plain", "typed", "node"])
def test_it_is_the_copy_that_omegaconf_makes(slow_copy, name):
    node_copies.install()
    assert DictConfig.__deepcopy__ is ListConfig.__deepcopy__ is node_copies.copied
    config = configs()[name]
    before = slow_copy(config)
    made = copy.deepcopy(config)
    assert_same(made, before)
    assert made._parent is config._parent
    assert_same(config, made)


def test_a_copy_is_its_own():
    node_copies.install()
    config = OmegaConf.create({"a": {"b": [1, 2]}, "c": "${a.b}"})
    OmegaConf.set_struct(config, True)
    made = copy.deepcopy(config)
    made.a.b.append(3)
    OmegaConf.set_readonly(made.a, True)
    assert config.a.b == [1, 2] and made.c == [1, 2, 3] and OmegaConf.is_struct(made)
    config.a.b = 5
    assert made.a.b == [1, 2, 3] and config.c == 5
    with pytest.raises(ReadonlyConfigError):
        made.a.b = 1
    twice = copy.deepcopy([config, config])
    assert twice[0] is twice[1]
