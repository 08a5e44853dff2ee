"""Contrastive distillation: the loss by hand, what negatives are drawn, what is remembered."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bmx.distillation.contrast import CRD, Contrast, contrast
from bmx.distillation.method import Outputs


def test_the_loss_by_hand():
    # Two negatives of four samples: noise 2/4. Half as likely again as noise, as likely, and not at all.
    likelihoods = torch.tensor([[0.75, 0.5, 0.0]])
    expected = -(math.log(0.75 / 1.25) + math.log(0.5 / 1.0) + math.log(0.5 / 0.5))
    assert contrast(likelihoods, 4).item() == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_least_where_the_pair_stands_out():
    apart = contrast(torch.tensor([[1e4, 0.0, 0.0]]), 10)
    assert 0 <= apart.item() < 1e-4 < contrast(torch.tensor([[1.0, 1.0, 1.0]]), 10).item()


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.integers(0, 2**32))
def test_negatives_are_of_other_classes_and_all_of_them_come(labels, seed):
    targets = torch.tensor(labels)
    if len(targets.unique()) < 2:
        with pytest.raises(ValueError, match="one class"):
            Contrast((3, 3), targets)
        return
    torch.manual_seed(seed)
    part = Contrast((3, 5), targets, dim=4, negatives=600)
    drawn = part.draw(targets)
    assert drawn.shape == (len(targets), 600)
    for own, row in zip(targets, drawn, strict=True):
        others = (targets != own).nonzero().flatten()
        # 600 draws from at most 30: one that never comes has a chance of 1 in 7 hundred million.
        assert set(row.tolist()) == set(others.tolist())


def test_the_memory_follows_the_samples_of_the_batch_only():
    targets = torch.tensor([0, 1, 0, 1, 0])
    part = Contrast((3, 2), targets, dim=4, negatives=8, momentum=0.5)
    before = part.memories.clone()
    student, teacher, rows = torch.randn(2, 3), torch.randn(2, 2), torch.tensor([3, 0])
    part(student, teacher, rows, targets[rows])
    assert torch.equal(part.memories, before)  # its gradients are still to come
    part.remember()
    assert torch.equal(part.memories[:, [1, 2, 4]], before[:, [1, 2, 4]])
    vector = F.normalize(part.maps[0](student), dim=1)
    expected = F.normalize(0.5 * before[0, rows] + 0.5 * vector, dim=1)
    torch.testing.assert_close(part.memories[0, rows], expected)
    with torch.no_grad():
        after = part.memories.clone()
        part(student, teacher, rows, targets[rows])
        part.remember()
        assert torch.equal(part.memories, after)


def test_a_state_holds_all_that_learning_needs():
    targets = torch.tensor([0, 1, 0, 1])
    first, second = (Contrast((3, 2), targets, dim=4, negatives=8) for _ in range(2))
    batch = (torch.randn(2, 3), torch.randn(2, 2), torch.tensor([1, 2]), targets[[1, 2]])
    first(*batch)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(0)
    expected = first(*batch)
    torch.manual_seed(0)
    assert torch.equal(second(*batch), expected)
    assert {name for name in first.state_dict() if "maps" not in name} == {"memories", "scales"}


def test_students_learn_to_say_what_the_teacher_says():
    """A linear student of fixed inputs comes closer to a teacher it is only contrasted with."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 8), torch.arange(64) % 4
    teacher = torch.tanh(inputs @ torch.randn(8, 6))
    student = torch.nn.Linear(8, 5)
    method = CRD(negatives=32, dim=8)
    part = method.learned_part(student(inputs), teacher, targets)
    optimizer = torch.optim.Adam([*student.parameters(), *part.parameters()], 0.01)
    losses = []
    for _ in range(60):
        own = Outputs(torch.zeros(64, 4), [student(inputs)], torch.arange(64))
        loss = method.term(own, Outputs(torch.zeros(64, 4), [teacher]), targets, [part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("field", [{"negatives": 0}, {"temperature": 0.0}, {"momentum": 1.0}, {"dim": 0}])
def test_wrong_numbers_are_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        CRD(**field)
