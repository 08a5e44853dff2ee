"""Losses between features, adapters, and features of other shapes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bmx.distillation.features import attention, attention_map, channels_first, fitnet, rkd_angle, rkd_distance
from bmx.distillation.method import RKD, Attention, FitNet, Outputs, same_positions


def test_fitnet_by_hand():
    assert fitnet(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])).item() == 5.0


def test_attention_map_by_hand():
    # Two channels at two positions: mean squares (9 + 7)/2 = 8 and 6, which scale to (0.8, 0.6).
    features = torch.tensor([[[[3.0, 2.0]], [[math.sqrt(7.0), math.sqrt(8.0)]]]])
    assert torch.allclose(attention_map(features), torch.tensor([[0.8, 0.6]]))
    other = torch.tensor([[[[1.0, 0.0]]]])  # one channel, all of it at the first position
    assert attention(features, other).item() == pytest.approx((0.2**2 + 0.6**2) / 2)


def test_attention_does_not_see_the_scale():
    features = torch.randn(3, 4, 5, 5)
    assert attention(7 * features, features).item() == pytest.approx(0, abs=1e-9)


def test_rkd_distance_by_hand():
    # Student: three points on a line at 0, 1, 2; distances 1, 1, 2 with mean 4/3: 3/4, 3/4, 3/2. Teacher: all 1.
    student = torch.tensor([[0.0, 0], [1, 0], [2, 0]])
    teacher = torch.tensor([[0.0, 0], [1, 0], [0.5, math.sqrt(0.75)]])
    # Huber of 1/4, 1/4 and 1/2, each twice, and the three zeros of the diagonal.
    assert rkd_distance(student, teacher).item() == pytest.approx(2 * (2 * 0.25**2 / 2 + 0.5**2 / 2) / 9, rel=1e-5)


def test_rkd_does_not_see_rotation_scale_or_position():
    student = torch.randn(5, 2, dtype=torch.float64)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    moved = 3 * student @ turn + 5
    assert rkd_distance(moved, student).item() == pytest.approx(0, abs=1e-10)
    assert rkd_angle(moved, student).item() == pytest.approx(0, abs=1e-10)


def test_rkd_angle_by_hand():
    # A right angle against a straight line, at the middle point: cosine 0 instead of -1.
    student = torch.tensor([[1.0, 0], [0, 0], [0, 1]])
    teacher = torch.tensor([[-1.0, 0], [0, 0], [1, 0]])
    cosines = {}
    for name, x in (("s", student), ("t", teacher)):
        values = []
        for vertex in range(3):
            edges = x - x[vertex]
            edges = edges / edges.norm(dim=1, keepdim=True).clamp(min=1e-12)
            values.append(edges @ edges.T)
        cosines[name] = torch.stack(values)
    expected = nn.functional.smooth_l1_loss(cosines["s"], cosines["t"])
    assert rkd_angle(student, teacher).item() == pytest.approx(expected.item(), abs=1e-7)


@given(st.integers(0, 1000), st.integers(2, 7), st.integers(1, 9))
def test_rkd_angle_is_that_of_the_edges(seed, n, width):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(n, d, generator=generator, dtype=torch.float64) for d in (width, 4))
    student[-1] = student[0]  # an angle with no side is taken for a right one
    cosines = []
    for x in (student, teacher):
        edges = nn.functional.normalize(x.unsqueeze(0) - x.unsqueeze(1), dim=2)
        cosines.append(edges @ edges.transpose(1, 2))
    expected = nn.functional.smooth_l1_loss(*cosines)
    assert rkd_angle(student, teacher).item() == pytest.approx(expected.item(), abs=1e-9)


@given(st.integers(0, 1000), st.integers(2, 12), st.integers(1, 400))
def test_rkd_angle_in_blocks_is_the_same_with_its_gradient(seed, n, triples):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(n, d, generator=generator, dtype=torch.float64) for d in (3, 5))
    student[-1] = student[0]
    found = []
    for at_once in (n**3, triples):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bmx.distillation.features.TRIPLES_AT_ONCE", at_once)
            own = student.clone().requires_grad_()
            loss = rkd_angle(own, teacher)
            loss.backward()
            found.append((loss.detach(), own.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-14)


def test_rkd_takes_memory_of_the_order_of_pairs(monkeypatch):
    """In every tensor that is made on the way to the loss and to its gradient."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    sizes = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            sizes.extend(one.numel() for one in tree_leaves(made) if isinstance(one, torch.Tensor))
            return made

    monkeypatch.setattr("bmx.distillation.features.TRIPLES_AT_ONCE", 1)
    n = 40
    x = torch.randn(n, 4, requires_grad=True)
    with Seen():
        rkd_angle(x, torch.randn(n, 4)).backward()
    assert max(sizes) == n * n and x.grad is not None


def test_rkd_has_finite_gradients_where_samples_coincide():
    x = torch.ones(4, 3, requires_grad=True)
    method = RKD()
    method.term(Outputs(torch.zeros(4, 2), [x]), Outputs(torch.zeros(4, 2), [torch.randn(4, 5)]), None).backward()
    assert x.grad.isfinite().all()


def test_tokens_have_their_channels_last():
    assert channels_first(torch.zeros(2, 7, 3)).shape == (2, 3, 7)
    assert channels_first(torch.zeros(2, 3, 4, 5)).shape == (2, 3, 20)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ((2, 4, 8, 8), (2, 6, 5, 7), ((2, 4, 5, 7), (2, 6, 5, 7))),
        ((2, 10, 4), (2, 6, 3), ((2, 4, 6), (2, 3, 6))),
        ((2, 4), (2, 6, 5, 5), ((2, 4), (2, 6))),
        ((2, 4, 6, 6), (2, 17, 3), ((2, 4, 17), (2, 3, 17))),
    ],
)
def test_positions_are_averaged_to_the_smaller_number(student, teacher, expected):
    s, t = same_positions(torch.randn(student), torch.randn(teacher))
    assert (tuple(s.shape), tuple(t.shape)) == expected


@pytest.mark.parametrize(
    ("student", "teacher"),
    [((2, 4), (2, 6)), ((2, 4, 8, 8), (2, 6, 8, 8)), ((2, 9, 4), (2, 5, 6)), ((2, 4, 3, 3), (2, 6))],
)
def test_fitnet_learns_an_adapter_between_widths(student, teacher):
    method, s, t = FitNet(), torch.randn(student), torch.randn(teacher)
    adapter = method.learned_part(s, t, torch.zeros(0))
    assert sum(p.numel() for p in adapter.parameters()) == 4 * 6 + 6
    loss = method.term(Outputs(s[:, :1], [s]), Outputs(t[:, :1], [t]), None, [adapter])
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in adapter.parameters())


def test_no_adapter_where_it_is_not_needed():
    assert FitNet().learned_part(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 3, 3), torch.zeros(0)) is None
    assert Attention().learned_part(torch.zeros(1, 4, 8, 8), torch.zeros(1, 9, 3, 3), torch.zeros(0)) is None


def test_layers_are_named_in_pairs():
    with pytest.raises(ValueError, match="1 of the student and 2 of the teacher"):
        FitNet(student_layers=["a"], teacher_layers=["a", "b"])
