"""The closed forms against torch's own schedulers, step by step."""

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


def test_bad_values_are_told():
    for make in (
        lambda: Schedule(warmup=-1),
        lambda: Exponential(gamma=0),
        lambda: Step(every=0),
        lambda: Cosine(final=2),
        lambda: OneCycle(rise=1.5),
        lambda: Plateau(gamma=1.0),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()
    with pytest.raises(ValueError, match="leaves nothing"):
        Schedule(warmup=3).check(Timeline(10, 3))


def test_a_single_step_run_has_a_rate():
    assert math.isfinite(OneCycle().factor(0, Timeline(1, 1)))
