"""The closed forms against torch's own schedulers, step by step."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from bmx.optim.schedules import (
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Plateau,
    PlateauState,
    Schedule,
    Step,
    Timeline,
)

timelines = st.builds(Timeline, steps_per_epoch=st.integers(1, 9), epochs=st.integers(2, 12))


def optimizer(lr=0.1):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def torch_rates(make, timeline, per_epoch):
    """The rate torch's scheduler uses in every step of a run."""
    sgd = optimizer()
    scheduler, rates = make(sgd), []
    for step in range(timeline.steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        last_of_run = step + 1 == timeline.steps
        if not last_of_run and (not per_epoch or (step + 1) % timeline.steps_per_epoch == 0):
            scheduler.step()
    return rates


def our_rates(schedule, timeline):
    return [0.1 * schedule.factor(step, timeline) for step in range(timeline.steps)]


@given(timelines, st.floats(0.1, 0.99))
def test_exponential(timeline, gamma):
    expected = torch_rates(lambda o: lr_scheduler.ExponentialLR(o, gamma), timeline, per_epoch=True)
    assert our_rates(Exponential(gamma=gamma), timeline) == pytest.approx(expected)


@given(timelines, st.integers(1, 5), st.floats(0.1, 0.99))
def test_step(timeline, every, gamma):
    expected = torch_rates(lambda o: lr_scheduler.StepLR(o, every, gamma), timeline, per_epoch=True)
    assert our_rates(Step(every=every, gamma=gamma), timeline) == pytest.approx(expected)


@given(timelines, st.lists(st.integers(1, 12), unique=True), st.floats(0.1, 0.99))
def test_multistep(timeline, milestones, gamma):
    expected = torch_rates(lambda o: lr_scheduler.MultiStepLR(o, sorted(milestones), gamma), timeline, per_epoch=True)
    assert our_rates(MultiStep(milestones=milestones, gamma=gamma), timeline) == pytest.approx(expected)


@given(timelines, st.floats(0, 1))
def test_cosine(timeline, final):
    def make(o):
        return lr_scheduler.CosineAnnealingLR(o, timeline.steps, eta_min=0.1 * final)

    expected = torch_rates(make, timeline, per_epoch=False)
    assert our_rates(Cosine(final=final), timeline) == pytest.approx(expected, abs=1e-9)


@given(timelines.filter(lambda t: t.steps > 4), st.floats(0.25, 0.9), st.floats(2, 50), st.floats(2, 1e4))
def test_one_cycle_with_its_momentum(timeline, rise, div, final_div):
    sgd = optimizer()
    scheduler = lr_scheduler.OneCycleLR(
        sgd, 0.1, total_steps=timeline.steps, pct_start=rise, div_factor=div, final_div_factor=final_div
    )
    ours = OneCycle(rise=rise, div=div, final_div=final_div)
    for step in range(timeline.steps):
        group = sgd.param_groups[0]
        assert 0.1 * ours.factor(step, timeline) == pytest.approx(group["lr"])
        assert ours.momentum(step, timeline) == pytest.approx(group["momentum"])
        sgd.step()
        if step + 1 < timeline.steps:
            scheduler.step()


@given(st.integers(1, 4), st.floats(0.1, 0.9), st.lists(st.floats(0.1, 10), min_size=1, max_size=20))
def test_plateau_state_is_torchs_rule_and_survives_a_save(patience, gamma, losses):
    schedule = Plateau(patience=patience, gamma=gamma, minimum=1e-3)
    sgd = optimizer()
    torchs = lr_scheduler.ReduceLROnPlateau(sgd, factor=gamma, patience=patience, min_lr=1e-3)
    ours = PlateauState(schedule, lr=0.1)
    for loss in losses:
        ours.update(loss)
        torchs.step(loss)
        assert 0.1 * ours.factor == pytest.approx(sgd.param_groups[0]["lr"])
        again = PlateauState(schedule, lr=0.1)
        again.load_state_dict(ours.state_dict())
        ours = again


@given(timelines, st.floats(0.01, 1.9), st.floats(0, 1))
def test_warmup_rises_to_the_base_rate_and_hands_over(timeline, warmup, start):
    schedule = Schedule(warmup=warmup, warmup_start=start)
    factors = [schedule.factor(step, timeline) for step in range(timeline.steps)]
    steps = round(warmup * timeline.steps_per_epoch)
    assert factors[:steps] == sorted(factors[:steps])
    assert all(start <= f <= 1 for f in factors)
    assert all(f == 1 for f in factors[steps:])


def test_a_schedule_after_warmup_covers_what_is_left():
    timeline = Timeline(steps_per_epoch=10, epochs=5)
    warm = Cosine(warmup=1)
    short = Timeline(steps_per_epoch=10, epochs=4)
    assert [warm.factor(10 + i, timeline) for i in range(40)] == [Cosine().factor(i, short) for i in range(40)]


lengths = st.builds(Timeline, steps_per_epoch=st.integers(1, 40), epochs=st.integers(1, 40))
fractions = st.floats(0, 1)
factors = st.floats(0, 1, exclude_min=True)
warm = {"warmup": st.one_of(st.just(0.0), st.floats(0, 45)), "warmup_start": fractions}
every_schedule = st.one_of(
    st.builds(Schedule, **warm),
    st.builds(Exponential, gamma=factors, **warm),
    st.builds(Step, every=st.integers(1, 50), gamma=factors, **warm),
    st.builds(MultiStep, milestones=st.lists(st.integers(0, 50)), gamma=factors, **warm),
    st.builds(Cosine, final=fractions, **warm),
    st.builds(Plateau, **warm),
)
open_fraction = st.floats(0, 1, exclude_min=True, exclude_max=True)
# Rises that end exactly on a step as well: there the closed form has nothing to divide by.
rises = st.one_of(open_fraction, st.integers(2, 40).map(lambda n: 1 / n))
momenta = st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)).map(sorted)
divisors = st.one_of(st.floats(1, 1e300), st.just(1.0))


@given(every_schedule, lengths)
def test_every_schedule_holds_for_every_length(schedule, timeline):
    """Up along the warm-up without a jump, never up again, always between 0 and 1."""
    try:
        schedule.check(timeline)
    except ValueError:
        assert round(schedule.warmup * timeline.steps_per_epoch) >= timeline.steps
        return
    found = [schedule.factor(step, timeline) for step in range(timeline.steps)]
    assert all(math.isfinite(factor) and 0 <= factor <= 1 for factor in found)
    top = schedule.warmup_steps(timeline)
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    rises_by = [later - earlier for earlier, later in itertools.pairwise(found[: top + 1])]
    assert all(rise <= (1 + 1e-9) / top for rise in rises_by)


@given(rises, divisors, divisors, momenta, st.floats(0, 45), fractions, lengths)
def test_one_cycle_holds_for_every_length(rise, div, final_div, momentum, warmup, start, timeline):
    low, high = momentum
    schedule = OneCycle(
        rise=rise, div=div, final_div=final_div, max_momentum=high, min_momentum=low, warmup=warmup, warmup_start=start
    )
    try:
        schedule.check(timeline)
    except ValueError:
        return
    found = [schedule.factor(step, timeline) for step in range(timeline.steps)]
    assert all(math.isfinite(factor) and 0 <= factor <= 1 for factor in found)
    peak = max(range(len(found)), key=found.__getitem__)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    # Between two steps at the top only rounding may lift the rate.
    assert all(later <= earlier + 1e-12 for earlier, later in zip(found[peak:], found[peak + 1 :], strict=False))
    warm_steps = schedule.warmup_steps(timeline)
    if warm_steps:
        assert found[warm_steps] >= found[warm_steps - 1] - 1e-12
    for step in range(warm_steps, timeline.steps):
        assert low - 1e-12 <= schedule.momentum(step, timeline) <= high + 1e-12


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
def test_a_rise_of_one_step_begins_at_the_peak(steps):
    ours, timeline = OneCycle(rise=1 / steps if steps > 1 else 0.5), Timeline(steps, 1)
    found = [ours.factor(step, timeline) for step in range(steps)]
    assert found[0] == 1 and found == sorted(found, reverse=True)
    if steps > 1:
        assert found[-1] == pytest.approx(1 / (25 * 1e4))


def test_a_warm_up_leads_to_where_one_cycle_begins():
    ours, timeline = OneCycle(warmup=1), Timeline(10, 5)
    found = [ours.factor(step, timeline) for step in range(timeline.steps)]
    assert found[10] == pytest.approx(1 / 25) and found[9] < found[10] < found[11]


@given(st.floats(0.001, 10), st.floats(0, 100), st.lists(st.floats(allow_nan=True), max_size=30))
def test_plateau_never_raises_the_rate(lr, minimum, losses):
    state, before = PlateauState(Plateau(minimum=minimum, patience=0), lr), 1.0
    for loss in losses:
        state.update(loss)
        assert math.isfinite(state.factor) and 0 <= state.factor <= before
        before = state.factor


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *[(Schedule, name) for name in ("warmup", "warmup_start")],
        *[(Step, name) for name in ("gamma", "every")],
        (Exponential, "gamma"),
        (Cosine, "final"),
        *[(OneCycle, name) for name in ("rise", "div", "final_div", "max_momentum", "min_momentum")],
        *[(Plateau, name) for name in ("gamma", "patience", "threshold", "minimum")],
    ],
)
def test_no_field_takes_what_is_no_number_in_its_range(kind, field, bad):
    with pytest.raises(ValueError, match=f"`{field}` must be"):
        kind(**{field: bad})


def test_bad_values_are_told():
    for make in (
        lambda: Schedule(warmup=-1),
        lambda: Exponential(gamma=0),
        lambda: Exponential(gamma=1.5),
        lambda: MultiStep(milestones=[3, -1]),
        lambda: OneCycle(div=0.5),
        lambda: OneCycle(max_momentum=1.0),
        lambda: OneCycle(max_momentum=0.5),
        lambda: Step(every=0),
        lambda: Cosine(final=2),
        lambda: OneCycle(rise=1.5),
        lambda: Plateau(gamma=1.0),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()
    with pytest.raises(ValueError, match="leaves nothing"):
        Schedule(warmup=3).check(Timeline(10, 3))
    with pytest.raises(ValueError, match="leaves nothing"):
        Schedule(warmup=0.9).check(Timeline(1, 1))


def test_a_single_step_run_has_a_rate():
    assert OneCycle().factor(0, Timeline(1, 1)) == 1
