"""The mathematics of a leaderboard against scipy, and the rules that hold for every input."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.sweep.leaderboard.statistics import holm, mean, paired, t_quantile, t_two_sided

stats = pytest.importorskip("scipy.stats")
finite = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.floats(-60, 60), st.integers(1, 300))
def test_t_distribution(t, freedom):
    # Below 1e-8 scipy rounds t away; elsewhere both have ten digits.
    assert t_two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 200])
@pytest.mark.parametrize("probability", [0.9, 0.95, 0.975, 0.995])
def test_t_quantile(probability, freedom):
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-8)


@given(st.lists(finite, min_size=2, max_size=8))
def test_interval_of_a_mean(values):
    found = mean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    assert found.n == len(values) and found.half == pytest.approx(half, rel=1e-7, abs=1e-9)


def test_one_value_has_no_interval():
    assert mean([0.5]).half is None


@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=8))
def test_paired_comparison(pairs):
    first, second = ({i: pair[k] for i, pair in enumerate(pairs)} for k in (0, 1))
    differences = [a - b for a, b in pairs]
    found = paired(first, second)
    assert found.n == len(pairs)
    if max(differences) - min(differences) > 1e-3:
        expected = stats.ttest_rel(list(first.values()), list(second.values()))
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_only_common_seeds_are_compared():
    assert paired({0: 1.0, 1: 2.0}, {1: 1.0, 5: 9.0}).n == 1
    assert paired({0: 1.0}, {1: 1.0}).p is None
    assert paired({0: 1.0}, {0: 0.0}).p is None


def test_equal_differences_are_not_certainty():
    two = paired({0: 1.0, 1: 1.0}, {0: 0.5, 1: 0.5})
    assert two.p == 0.5
    six = paired(dict.fromkeys(range(6), 1.0), dict.fromkeys(range(6), 0.5))
    assert six.p < 0.05
    assert paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).p == 1.0


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_is_never_below_the_plain_value_and_keeps_the_order(ps):
    corrected = holm(ps)
    assert all(c >= p and c <= 1 for c, p in zip(corrected, ps, strict=True))
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    assert all(corrected[a] <= corrected[b] for a, b in pairwise(order))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert math.isclose(holm([0.02])[0], 0.02)
