"""What a compression class refuses names fields and values that it takes."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from torch import nn

from bmx.compression.budget import Budget
from bmx.compression.deep.method import Deep
from bmx.compression.low_rank.method import LowRank
from bmx.compression.prune.method import Prune
from bmx.compression.prune_structured.method import PruneStructured
from bmx.compression.quantize.method import Quantize
from bmx.compression.rebuild import rebuild
from bmx.errors import UsageError
from tests.compression.low_rank_nets import context, perceptron, rows

CASES = [
    (Deep, {"end": 0.7, "share": 0.5}, "end <= share <= 1"),
    (Deep, {"end": 0.9, "share": 0.5}, "end <= share <= 1"),
    (LowRank, {"samples": 0}, "at least one sample"),
    (Prune, {"begin": 0.9}, "0 <= begin < end <= 1"),
    (Prune, {"end": 1.5}, "0 <= begin < end <= 1"),
    (Prune, {"updates": 0}, "updates must be at least 1"),
    (PruneStructured, {"round_to": 0}, "round_to must be at least 1"),
    (PruneStructured, {"samples": 0}, "samples must be at least 1"),
    (Quantize, {"weights": 3}, "8 or 4 bits"),
    (Quantize, {"weights": 3, "activations": "none"}, "8 or 4 bits"),
    (Quantize, {"weights": 4, "activations": "none", "group": 24}, "power of two"),
    (Quantize, {"percentile": 20}, "above 50"),
    (Quantize, {"samples": 0}, "one sample"),
    (Quantize, {"mixed": -1.0}, "0 or more"),
]


def _apply(kind, fields):
    method = kind(**fields)
    if kind is Quantize:
        method._check(perceptron())


@pytest.mark.parametrize(("kind", "fields", "says"), CASES, ids=[f"{k.__name__} {f}" for k, f, _ in CASES])
def test_a_field_that_cannot_be_is_answered_with_one_that_can(kind, fields, says):
    with pytest.raises(UsageError) as refused:
        _apply(kind, fields)
    assert says in refused.value.what
    for advised in re.sub(r"^write ", "", refused.value.fix).split(", or "):
        words = re.findall(r"compression\.(\w+)=(\S+)", advised)
        _apply(kind, {**fields, **{name: yaml.safe_load(value) for name, value in words}})
        assert words or advised == "null"


def test_layers_that_cannot_be_factored_are_named_and_another_method_takes_them():
    small = nn.Sequential(nn.Flatten(), nn.Linear(20, 1)).eval()
    data = context(rows())
    for fields, fix in (({}, "use compression=prune"), ({"skip": ["1"]}, "leave out compression.skip, or use ")):
        with pytest.raises(UsageError, match="no layer can be factored") as refused:
            LowRank(**fields)(small, data)
        assert refused.value.fix.startswith(fix) and "compression=quantize" in refused.value.fix
    assert Prune()(small, data).net is not None


def test_inputs_that_do_not_come_in_fours():
    odd = nn.Sequential(nn.Linear(20, 7), nn.ReLU(), nn.Linear(7, 4))
    odd[0] = nn.Linear(19, 7)
    with pytest.raises(UsageError, match="no layer has inputs that come in fours") as refused:
        Prune(pattern="2:4").layers(odd)
    assert refused.value.fix == "use compression.pattern=none"
    assert Prune(pattern="none").layers(odd)


def test_a_score_that_no_layer_keeps():
    """Any rounding loses, says this score: nothing may be rounded."""
    data = context(rows())
    floats = [100.0]
    never = type(data)(
        data.spec, data.example, data.calibration, data.loss, lambda net: floats.pop() if floats else 0.0
    )
    with pytest.raises(UsageError, match="no layer can be quantised within the budget") as refused:
        Quantize(mixed=0.5)(perceptron(), never)
    assert "compression.mixed=" in refused.value.fix and "compression.mixed=0.5" in refused.value.where
    assert Quantize(mixed=100.0)(perceptron(), data).net is not None


def test_a_step_of_another_version_and_budgets():
    with pytest.raises(UsageError, match="unknown compression 'shrink'") as refused:
        rebuild(perceptron(), [{"kind": "shrink"}])
    assert "a newer one" in refused.value.fix
    with pytest.raises(UsageError, match="no budget is set"):
        Budget()
    assert Budget(params=0.5) and torch.is_tensor(rows())
