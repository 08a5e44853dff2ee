"""What is said where low rank cannot do what was asked."""

from __future__ import annotations

import pytest
from torch import nn

from bmx.compression.low_rank.method import LowRank
from bmx.errors import UsageError
from tests.compression.low_rank_nets import context, images, perceptron, rows

PLAIN, PICTURES = context(rows()), context(images())


@pytest.mark.parametrize(
    ("fields", "what", "fix"),
    [
        ({"rule": "kfca"}, "kfca", "'kfac'"),
        ({"decomposition": "chanel"}, "chanel", "'channel'"),
        ({"rule": "kfac", "decomposition": "cp"}, "kfac", "ratio"),
        ({"budget": {"param": 0.1}}, "param", "'params'"),
        ({"budget": {"params": 0.1, "macs": 0.1}}, "2 budgets", "exactly one"),
        ({"budget": {"params": -1}}, "-1", "fraction"),
        ({"samples": 0}, "at least one", ""),
        ({"skip": ["04"]}, "'04'", "'0'"),
        ({"skip": ["0", "2", "4"]}, "no layer can be factored", ""),
    ],
)
def test_a_wrong_word_is_answered_in_three_lines(fields, what, fix):
    with pytest.raises(UsageError) as caught:
        LowRank(**fields)(perceptron(), PLAIN)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert all("\n" not in line for line in caught.value.lines())


@pytest.mark.parametrize("unit", ["params", "macs", "bytes"])
@pytest.mark.parametrize("value", [0.001, 5])
def test_a_budget_that_cannot_be_met_names_the_smallest_that_can(unit, value):
    with pytest.raises(UsageError) as caught:
        LowRank(budget={unit: value})(perceptron(), PLAIN)
    smallest = caught.value.fix.rpartition("=")[2]
    assert f"budget.{unit}" in caught.value.where
    LowRank(budget={unit: float(smallest)})(perceptron(), PLAIN)


def test_no_calibration_samples_is_said():
    empty = context(rows())
    empty = type(empty)(empty.spec, empty.example, lambda n: iter(()), empty.loss, empty.score)
    with pytest.raises(UsageError, match="no samples to calibrate"):
        LowRank()(perceptron(), empty)
    LowRank("energy")(perceptron(), empty)


def test_a_layer_whose_weight_is_read_elsewhere_is_refused():
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(20, 20), nn.Linear(20, 4)

        def forward(self, x):
            return self.b(self.a(x) @ self.a.weight)

    with pytest.raises(UsageError, match="reads the weight"):
        LowRank("ratio", {"params": 0.5})(Reads().eval(), PLAIN)
    LowRank("ratio", {"params": 0.9}, skip=["a"])(Reads().eval(), PLAIN)
