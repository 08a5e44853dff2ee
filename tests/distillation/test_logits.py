"""Losses between logits, against values worked out by hand and against what they must reduce to."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bmx.distillation.logits import dist, dkd, kd, kd_std, mse_logits, standardise, unit
from bmx.distillation.method import DIST, DKD, KD, MSELogits, Outputs, StandardisedKD

LN2, LN3 = math.log(2), math.log(3)


def batches(classes=(2, 6)):
    """Two logits (N, K) and targets (N,), drawn from a seed."""
    return st.builds(_batch, st.integers(0, 10_000), st.integers(1, 5), st.integers(*classes))


def _batch(seed, n, k):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3 * torch.randn(n, k, generator=generator, dtype=torch.float64) for _ in range(2))
    return student, teacher, torch.randint(k, (n,), generator=generator)


def total(method, student, teacher, targets):
    """α·CE + weight·term, as a training step adds them up."""
    taught = method.prepare(Outputs(teacher), targets)
    return method.alpha * F.cross_entropy(student, targets) + method.scale * method.term(
        Outputs(student), taught, targets
    )


def test_kd_by_hand():
    # Teacher (1/4, 3/4), student (1/2, 1/2): KL = 1/4 ln(1/2) + 3/4 ln(3/2).
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, LN3]])
    assert kd(student, teacher, 1.0).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    # At T = 2 logits (0, 2 ln 3) are the same probabilities, and T² is 4.
    assert kd(student, 2 * teacher, 2.0).item() == pytest.approx(4 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5)))


def test_kd_is_a_mean_over_samples_and_not_over_classes():
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.0, LN3]])
    one = kd(student, teacher, 1.0)
    assert torch.allclose(kd(student.repeat(7, 1), teacher.repeat(7, 1), 1.0), one)


@given(batches())
def test_r11_is_cross_entropy_at_alpha_1(batch):
    student, teacher, targets = batch
    assert total(KD(alpha=1.0), student, teacher, targets).item() == F.cross_entropy(student, targets).item()


@given(batches())
def test_r11_is_plain_kl_at_alpha_0_and_temperature_1(batch):
    student, teacher, targets = batch
    p, q = teacher.softmax(1), student.softmax(1)
    kl = (p * (p.log() - q.log())).sum(1).mean()
    assert total(KD(alpha=0.0, temperature=1.0), student, teacher, targets).item() == pytest.approx(
        kl.item(), abs=1e-12
    )


@given(batches(), st.floats(0.5, 20), st.floats(0, 1))
def test_r11_as_it_is_written(batch, temperature, alpha):
    student, teacher, targets = batch
    p, q = (teacher / temperature).softmax(1), (student / temperature).softmax(1)
    expected = alpha * F.cross_entropy(student, targets) + (1 - alpha) * temperature**2 * (
        (p * (p.log() - q.log())).sum(1).mean()
    )
    assert total(KD(alpha, temperature), student, teacher, targets).item() == pytest.approx(expected.item(), abs=1e-9)


@given(batches())
def test_nothing_is_left_to_learn_from_oneself(batch):
    student, _, targets = batch
    for method in (KD(), StandardisedKD(), DKD(), DIST(), MSELogits()):
        taught = method.prepare(Outputs(student), targets)
        assert method.term(Outputs(student), taught, targets).item() == pytest.approx(0, abs=1e-6)


def test_standardised_logits_by_hand():
    assert torch.allclose(standardise(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[-1.0, 0.0, 1.0]]))


@given(batches((3, 6)), st.floats(0.1, 10), st.floats(-5, 5))
def test_kd_std_does_not_depend_on_the_range_of_the_logits(batch, scale, shift):
    student, teacher, _ = batch
    moved = kd_std(student, scale * teacher + shift, 2.0)
    assert moved.item() == pytest.approx(kd_std(student, teacher, 2.0).item(), rel=1e-4, abs=1e-6)


@given(batches((3, 6)), st.floats(0.5, 8))
def test_dkd_with_the_weights_of_kd_is_kd(batch, temperature):
    student, teacher, targets = batch
    whole = 0.0
    for s, t, y in zip(student, teacher, targets, strict=True):
        other = 1 - (t / temperature).softmax(0)[y].item()
        whole += dkd(s[None], t[None], y[None], temperature, 1.0, other).item() / len(student)
    assert whole == pytest.approx(kd(student, teacher, temperature).item(), rel=1e-6, abs=1e-9)


def test_dkd_by_hand():
    # Teacher: target 1/2, the others 1/8 and 3/8, which are 1/4 and 3/4 among themselves. Student: 1/3 each.
    teacher, student = torch.tensor([[0.5, 0.125, 0.375]]).log(), torch.zeros(1, 3)
    target = 0.5 * math.log(0.5 / (1 / 3)) + 0.5 * math.log(0.5 / (2 / 3))
    other = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert dkd(student, teacher, torch.tensor([0]), 1.0, 1.0, 8.0).item() == pytest.approx(target + 8 * other)


def test_dkd_stays_finite_where_the_teacher_is_certain():
    student = torch.randn(2, 4, requires_grad=True)
    loss = dkd(student, torch.tensor([[200.0, 0, 0, 0], [0, 0, 0, 0]]), torch.tensor([0, 3]))
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


def test_dist_by_hand():
    # Rows whose order is turned around have correlation -1; columns of two samples likewise.
    teacher, student = torch.tensor([[0.0, LN3], [LN3, 0.0]]), torch.tensor([[LN3, 0.0], [0.0, LN3]])
    assert dist(student, teacher, 1.0, 1.0, 0.0).item() == pytest.approx(2.0)
    assert dist(student, teacher, 1.0, 1.0, 1.0).item() == pytest.approx(4.0)
    both = unit(torch.tensor([[1.0, 2, 3]])) * unit(torch.tensor([[2.0, 4, 7]]))
    assert both.sum().item() == pytest.approx(5 / math.sqrt(2 * 38 / 3))


def test_mse_logits_by_hand():
    assert mse_logits(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).item() == 2.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: KD(temperature=0.0), "temperature must be above 0"),
        (lambda: KD(alpha=-0.1), "alpha must be 0 or more"),
        (lambda: KD(alpha=1.5), "negative"),
        (lambda: KD(mixup=-1.0), "mixup must be 0 or more"),
        (lambda: MSELogits(alpha=0.0, weight=0.0), "leave nothing to learn from"),
    ],
)
def test_fields_out_of_range(make, says):
    with pytest.raises(ValueError, match=says):
        make()
