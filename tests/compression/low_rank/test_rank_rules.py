"""How ranks are chosen: one budget for all layers, and the analytic rank of a noisy matrix."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bmx.compression.low_rank.allocation import Ladder, allocate
from bmx.compression.low_rank.vbmf import vbmf_rank


@st.composite
def ladders(draw: st.DrawFn) -> list[Ladder]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        steps = draw(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 10)), min_size=0, max_size=5))
        costs, losses = [draw(st.integers(1, 40))], [50.0]
        for cost, gain in steps:
            costs.append(costs[-1] + cost)
            losses.append(losses[-1] - gain)
        found.append(Ladder(f"layer{number}", list(range(len(costs))), costs, losses))
    return found


def spent(found: list[Ladder], rungs: dict[str, int]) -> float:
    return sum(x.costs[rungs[x.name]] for x in found)


@settings(max_examples=200, deadline=None)
@given(ladders(), st.integers(1, 500), st.sampled_from(["slope", "level"]))
def test_a_budget_is_never_exceeded_and_no_rung_more_would_fit(found, limit, order):
    rungs = allocate(found, limit, order)
    least = sum(x.costs[0] for x in found)
    if limit < least:
        assert rungs is None
        return
    assert rungs is not None
    left = limit - spent(found, rungs)
    assert left >= 0
    for ladder in found:
        at = rungs[ladder.name]
        assert at + 1 == len(ladder.costs) or ladder.costs[at + 1] - ladder.costs[at] > left


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 9), min_size=1, max_size=4), min_size=1, max_size=3), st.integers(1, 12))
def test_with_equal_steps_and_falling_gains_the_greedy_choice_is_the_best_there_is(gains, limit):
    found = []
    for number, values in enumerate(gains):
        values = sorted(values, reverse=True)
        losses = [sum(values[i:]) for i in range(len(values) + 1)]
        found.append(Ladder(str(number), [], [i + 1 for i in range(len(losses))], losses))
    rungs = allocate(found, limit)
    if rungs is None:
        return
    choices = itertools.product(*(range(len(x.costs)) for x in found))
    lost = [
        sum(x.losses[at] for x, at in zip(found, choice, strict=True))
        for choice in choices
        if sum(x.costs[at] for x, at in zip(found, choice, strict=True)) <= limit
    ]
    assert sum(x.losses[rungs[x.name]] for x in found) == pytest.approx(min(lost))


def test_a_gain_that_comes_late_is_seen_from_afar():
    # One rung more of a helps little, but keeping it whole costs 20 and saves 10; each rung of b saves 0.3 for 10.
    a = Ladder("a", [], [10, 20, 30], [10.0, 9.9, 0.0])
    b = Ladder("b", [], [10, 20, 30], [0.6, 0.3, 0.0])
    assert allocate([a, b], 40) == {"a": 2, "b": 0}
    assert allocate([a, b], 30) == {"a": 0, "b": 1}, "it does not fit, so the money goes where it helps most"


def test_levels_rise_together():
    a = Ladder("a", [], [1, 2, 3, 4], [0.9, 0.5, 0.2, 0.0])
    b = Ladder("b", [], [1, 2, 3, 4], [0.6, 0.4, 0.1, 0.0])
    assert allocate([a, b], 4, "level") == {"a": 1, "b": 1}
    assert allocate([a, b], 5, "level") == {"a": 2, "b": 1}


@pytest.mark.parametrize(("shape", "rank"), [((60, 60), 5), ((40, 100), 8), ((100, 40), 1), ((30, 300), 12)])
def test_vbmf_finds_the_rank_under_the_noise(shape, rank):
    draw = torch.Generator().manual_seed(rank)
    signal = torch.randn(shape[0], rank, generator=draw) @ torch.randn(rank, shape[1], generator=draw)
    for noise in (0.05, 0.5):
        assert vbmf_rank(signal + noise * torch.randn(*shape, generator=draw)) == rank


def test_vbmf_finds_nothing_in_noise_or_in_zeros():
    assert vbmf_rank(torch.randn(60, 80, generator=torch.Generator().manual_seed(0))) == 0
    assert vbmf_rank(torch.zeros(6, 8)) == 0
