from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.runs.report import numbers
from bmx.runs.report.interval import chance, mcnemar, wilson

anything = st.none() | st.booleans() | st.text() | st.floats() | st.integers(-(10**30), 10**30)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (numbers.whole(61706), "61,706"),
        (numbers.short(416520), "416.5 k"),
        (numbers.short(999_960), "1.0 M"),
        (numbers.short(999), "999"),
        (numbers.size(246824), "246.8 kB"),
        (numbers.size(12), "12 B"),
        (numbers.size(44.6e6), "44.6 MB"),
        (numbers.percent(0.974, 1000), "97.4 %"),
        (numbers.percent(0.9743, 10_000), "97.43 %"),
        (numbers.percent(0.9999, 10_000), "99.99 %"),
        (numbers.percent(0.9999, 1000), "99.9 %"),
        (numbers.percent(1.0), "100.0 %"),
        (numbers.percent(0.0), "0.0 %"),
        (numbers.percent(0.0001), "0.1 %"),
        (numbers.figures(0.0841234), "0.08412"),
        (numbers.figures(1234.56), "1,235"),
        (numbers.figures(3.14e-06), "3.14e-06"),
        (numbers.figures(0), "0"),
        (numbers.figures(-2.5, 3), "-2.50"),
        (numbers.seconds(0.836), "0.84 s"),
        (numbers.seconds(31.24), "31.2 s"),
        (numbers.seconds(59.97), "1 min 00 s"),
        (numbers.seconds(3599.6), "1 h 00 min"),
        (numbers.seconds(11_220), "3 h 07 min"),
        (numbers.seconds(187_200), "2 d 04 h"),
        (numbers.clock(31.2), "0:31"),
        (numbers.clock(11_240), "3:07:20"),
        (numbers.cut("abcdef", 4), "abc…"),
    ],
)
def test_numbers_as_they_are_written(said: str, expected: str) -> None:
    assert said == expected


@given(anything)
def test_anything_can_be_written_and_what_is_no_number_is_a_dash_or_nan_or_inf(value: object) -> None:
    measured = (numbers.percent, numbers.figures)
    for write in (
        numbers.whole,
        numbers.short,
        numbers.size,
        numbers.percent,
        numbers.figures,
        numbers.seconds,
        numbers.clock,
    ):
        text = write(value)
        assert text
        if not numbers.is_number(value):
            assert text == (numbers.MISSING if write not in measured or not isinstance(value, float) else f"{value:g}")


@given(st.floats(0, 1), st.sampled_from([None, 100, 10_000]))
def test_only_all_is_a_hundred_per_cent(fraction: float, n: int | None) -> None:
    text = numbers.percent(fraction, n)
    shown = float(text.removesuffix(" %")) / 100
    assert (shown == 1) == (fraction == 1)
    assert (shown == 0) == (fraction == 0)
    assert abs(shown - fraction) <= 0.0011


@given(st.floats(1, 1e20))
def test_a_scaled_number_is_right_to_its_last_digit(value: float) -> None:
    number, _, unit = numbers.size(value).partition(" ")
    factor = 1000.0 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB"].index(unit)
    assert float(number.replace(",", "")) * factor == pytest.approx(value, abs=0.0501 * factor)


@given(st.floats(1e-4, 1e8))
def test_figures_are_right_to_their_last_digit(value: float) -> None:
    assert float(numbers.figures(value).replace(",", "")) == pytest.approx(value, rel=6e-4)


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_times_are_right_to_their_small_unit(a: float, b: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    for value in (a, b):
        parts = numbers.seconds(value).split()
        said = sum(float(n) * units[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))
        assert said == pytest.approx(value, abs=0.51 * units[parts[-1]])


@given(st.integers(1, 10**6), st.data())
def test_the_wilson_interval_holds_the_share_and_narrows_with_n(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    low, high = wilson(right, n)
    assert 0 <= low <= right / n <= high <= 1
    low10, high10 = wilson(right * 10, n * 10)
    assert high10 - low10 < high - low


def test_wilson_against_published_values() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263 and 0/20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    assert math.isclose(wilson(20, 20)[1], 1.0)


def test_mcnemar_by_hand() -> None:
    # One against five: 2 (1 + 6) / 2^6.
    assert mcnemar(1, 5) == mcnemar(5, 1) == 14 / 64
    assert mcnemar(0, 0) == mcnemar(3, 3) == mcnemar(1, 0) == 1.0
    assert mcnemar(0, 6) == 2 / 64


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_distributions_two_tails(first: int, second: int) -> None:
    n = first + second
    tails = sum(math.comb(n, k) for k in range(n + 1) if min(k, n - k) <= min(first, second))
    assert mcnemar(first, second) == pytest.approx(tails / 2**n, rel=1e-12)
    assert mcnemar(first + 1, second) <= mcnemar(first, second) or first < second


def test_mcnemar_of_many_samples() -> None:
    # The normal approximation with its continuity correction: z = (1,000 - 1) / sqrt(50,000).
    assert mcnemar(25_500, 24_500) == pytest.approx(math.erfc(999 / math.sqrt(2 * 50_000)), rel=1e-3)


def test_a_chance_as_text() -> None:
    assert [chance(p) for p in (1.0, 0.4567, 0.03, 0.001, 0.0002)] == [
        *("p = 1", "p = 0.46", "p = 0.03", "p = 0.001", "p < 0.001")
    ]


@given(st.floats(-1.7e308, 1.7e308) | st.just(math.nan) | st.just(math.inf))
def test_a_column_of_measured_values_stays_narrow_and_says_the_value(value: float) -> None:
    text = numbers.fixed(value)
    assert len(text) <= 11
    if math.isfinite(value):
        assert math.isclose(float(text), value, rel_tol=0.06 if 0 < abs(value) < 0.00005 else 0.005, abs_tol=5.1e-5)
        assert (float(text) == 0) == (value == 0)
    else:
        assert text in ("nan", "inf", "-inf")


def test_a_loss_that_has_grown_beyond_measure_is_written_with_its_power() -> None:
    assert numbers.fixed(2.86e26) == "2.86e+26"
    assert numbers.figures(2.86e26) == "2.86e+26"
    assert numbers.short(2.86e26) == "2.86e+26"
    assert [numbers.fixed(x) for x in (0.0002, 3.1e-7, 0.0, 12345.6789)] == [
        "0.0002",
        "3.1e-07",
        "0.0000",
        "12345.6789",
    ]
