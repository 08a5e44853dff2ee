"""compose(): what a run would get, from Python."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import bmx
from bmx.config.compose import compose
from bmx.config.schema import schema
from bmx.config.value_kinds import NOTHING
from bmx.errors import UsageError


def test_it_is_what_a_run_gets(house):
    house("train", "model=cnn", "lr=3")
    ran = house.ran[0][0]
    composed = compose("train", ["model=cnn", "lr=3"])
    assert OmegaConf.to_container(composed, resolve=False) == OmegaConf.to_container(ran, resolve=False)
    assert composed.name == "cnn-toy-sgd"
    assert "hydra" not in composed


def test_it_raises_what_the_command_line_says(house):
    with pytest.raises(UsageError, match="no group or key 'lrr'"):
        compose("train", ["lrr=3"])
    with pytest.raises(UsageError, match="epochs must be a whole number"):
        compose("train", ["epochs=ten"])
    with pytest.raises(UsageError, match="lr has several values"):
        compose("train", ["lr=1,2"])


def test_it_leaves_no_state_and_needs_none(house):
    before = HydraConfig.instance().cfg  # of a run that another test has made in this process, or None
    compose("train")
    compose("evaluate")
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is before
    assert bmx.compose is bmx.api.compose


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("lr", [0.1, 1, 1e-9, "auto"], [0, -1, float("nan"), float("inf"), "x", True, None]),
        ("epochs", [1, 10**9, "1"], [0, -1, 1.0, "1.5", True, None]),
        ("batch_size", [1, "full", "auto"], [0, 1.0, "x", False, None]),
        ("seed", [0, 2**32 - 1], [-1, 2**32, 0.0, None]),
        ("device", ["auto", "cpu", "cuda", "cuda:1", "mps"], ["gpu", "cuda:", "cuda:x", 0, None]),
        ("precision", ["32-true", "bf16-mixed"], [32, "32", "fp16", None]),
        ("name", ["a", 7, None], ["", []]),
        ("outputs", ["here", 3], ["", None]),
    ],
)
def test_knobs(key, right, wrong):
    declared = schema("train").declared(key)
    assert all(declared.convert(value) is not NOTHING for value in right)
    assert all(declared.convert(value) is NOTHING for value in wrong)
    assert declared.convert(declared.example) is not NOTHING
