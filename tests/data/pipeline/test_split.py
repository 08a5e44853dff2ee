import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.pipeline.split import hold_out
from bmx.errors import UsageError

labels = st.lists(st.integers(0, 6), min_size=2, max_size=200).map(lambda values: torch.tensor(values))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def labels_and_count(draw):
    targets = draw(labels)
    return targets, draw(st.integers(0, len(targets) - 1))


@given(labels_and_count(), seeds, st.booleans())
def test_the_parts_are_disjoint_complete_sorted_and_of_the_exact_size(case, seed, stratify):
    targets, count = case
    kept, held_out = hold_out(targets, count, seed, stratify)
    assert len(held_out) == count
    assert sorted(kept.tolist() + held_out.tolist()) == list(range(len(targets)))
    assert kept.tolist() == sorted(kept.tolist())
    assert held_out.tolist() == sorted(held_out.tolist())
    assert kept.dtype == held_out.dtype == torch.int64


@given(labels_and_count(), seeds)
def test_each_class_gives_its_share_to_within_one_sample(case, seed):
    targets, count = case
    _, held_out = hold_out(targets, count, seed)
    for label in targets.unique():
        share = count * int((targets == label).sum()) / len(targets)
        assert abs(int((targets[held_out] == label).sum()) - share) < 1


@given(labels, st.floats(0.001, 0.999), seeds)
def test_a_fraction_takes_its_part_and_at_least_one(targets, fraction, seed):
    expected = max(1, round(fraction * len(targets)))
    if expected == len(targets):
        with pytest.raises(UsageError):
            hold_out(targets, fraction, seed)
    else:
        assert len(hold_out(targets, fraction, seed)[1]) == expected


@given(labels_and_count(), seeds)
def test_the_same_seed_gives_the_same_split(case, seed):
    first, second = (hold_out(*case, seed) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_another_seed_gives_another_split():
    targets = torch.arange(1000) % 10
    assert not torch.equal(hold_out(targets, 100, 0)[1], hold_out(targets, 100, 1)[1])


def test_the_split_of_a_seed_never_changes():
    # Written down once: a run of last year must find its validation set again.
    assert hold_out(torch.arange(20) % 2, 4, 0)[1].tolist() == [1, 2, 5, 6]


def test_every_sample_is_as_likely_to_be_held_out():
    targets = torch.arange(40) % 4
    taken = torch.zeros(40)
    for seed in range(500):
        taken[hold_out(targets, 8, seed)[1]] += 1
    # 500 draws of probability 0.2: five standard deviations are 45.
    assert (taken - 100).abs().max() < 45


def test_regression_targets_are_split_at_random():
    kept, held_out = hold_out(torch.linspace(0, 1, 100), 0.25, 0)
    assert len(kept) == 75
    assert len(held_out) == 25
    assert held_out.tolist() != list(range(25))


def test_nothing_may_be_held_out():
    kept, held_out = hold_out(torch.zeros(5, dtype=torch.int64), 0, 0)
    assert kept.tolist() == [0, 1, 2, 3, 4]
    assert len(held_out) == 0


@pytest.mark.parametrize("size", [-1, -0.1, 1.5, 10, 11, 10.0, 0.96, math.nan, math.inf, True, None, "many"])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(UsageError) as error:
        hold_out(torch.zeros(10, dtype=torch.int64), size, 0)
    assert "data.val_size" in error.value.where
    assert error.value.fix


@pytest.mark.parametrize(("size", "count"), [(3, 3), (3.0, 3), (1, 1), (1.0, 1), (9, 9), (0.94, 9), (0.01, 1)])
def test_counts_may_be_written_as_floats(size, count):
    assert len(hold_out(torch.zeros(10, dtype=torch.int64), size, 0)[1]) == count
