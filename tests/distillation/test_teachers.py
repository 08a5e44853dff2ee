"""Frozen teachers, views of a sample for other shapes, mixed samples, and outputs that are kept."""

import pytest
import torch
from torch import nn

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec
from bmx.distillation.method import Outputs
from bmx.distillation.mixup import mixup
from bmx.distillation.teacher_cache import TeacherOutputs, digest, outputs_of
from bmx.distillation.teachers import Teacher, Teachers
from bmx.distillation.views import check_view, view
from bmx.errors import UsageError


def spec(**changes):
    fields = {"name": "toy", "kind": "image", "input_shape": (1, 8, 8), "num_classes": 10} | changes
    return DataSpec(**fields)


def test_logits_of_several_teachers_are_their_mean():
    nets = [nn.Linear(3, 4), nn.Linear(3, 4)]
    teachers = Teachers([Teacher(net, nn.Identity(), spec(kind="table", input_shape=(3,))) for net in nets])
    x = torch.randn(5, 3)
    logits = teachers(x).logits
    assert torch.allclose(logits, (nets[0](x) + nets[1](x)) / 2)
    assert not logits.requires_grad
    assert not nets[0].training and not any(p.requires_grad for p in nets[0].parameters())
    assert not isinstance(teachers, nn.Module)


def test_views():
    raw = torch.randint(256, (2, 1, 8, 8), dtype=torch.uint8)
    assert view(raw, spec()) is raw
    colour = view(raw, spec(input_shape=(3, 8, 8)))
    assert colour.dtype == torch.uint8 and torch.equal(colour[:, 2], raw[:, 0])
    assert view(raw, spec(input_shape=(1, 16, 16))).shape == (2, 1, 16, 16)
    grey = view(torch.tensor([255.0, 0, 0]).view(1, 3, 1, 1), spec(input_shape=(1, 1, 1)))
    assert grey.item() == pytest.approx(0.299 * 255)
    assert view(torch.full((1, 1, 4, 4), 7, dtype=torch.uint8), spec(input_shape=(3, 9, 9))).unique().tolist() == [7.0]


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        (spec(num_classes=16), "16 classes"),
        (spec(kind="table", input_shape=(64,)), "table of 64"),
        (spec(input_shape=(2, 8, 8)), "image of 2×8×8"),
        (spec(labels=tuple("abcdefghij")), "other classes"),
    ],
)
def test_teachers_that_cannot_be_shown_the_data(teacher, says):
    with pytest.raises(UsageError) as caught:
        check_view(teacher, spec(labels=tuple("0123456789")), "teacher=x")
    assert says in caught.value.what


def test_a_teacher_with_another_vocabulary():
    tokens = {"kind": "tokens", "input_shape": (9,), "vocab_size": 3}
    teacher, data = spec(**tokens, vocabulary=("", "a", "b")), spec(**tokens, vocabulary=("", "a", "c"))
    with pytest.raises(UsageError, match="trained with another vocabulary") as caught:
        check_view(teacher, data, "teacher=x")
    assert caught.value.where == "teacher=x, data=toy" and "same data.* words" in caught.value.fix
    check_view(teacher, teacher, "teacher=x")


def test_teachers_of_other_sizes_can():
    check_view(spec(input_shape=(3, 32, 32)), spec(), "teacher=x")
    check_view(spec(), spec(input_shape=(3, 32, 32)), "teacher=x")


def test_mixup_blends_pairs():
    torch.manual_seed(0)
    raw = torch.randint(256, (6, 1, 2, 2), dtype=torch.uint8)
    mixed = mixup(raw, 1.0)
    expected = mixed.share * raw.float() + (1 - mixed.share) * raw[mixed.partner].float()
    assert torch.allclose(mixed.inputs, expected, atol=1e-4)
    assert sorted(mixed.partner.tolist()) == list(range(6)) and 0 <= mixed.share <= 1
    shares = torch.tensor([mixup(raw, 1.0).share for _ in range(500)])
    assert abs(shares.mean() - 0.5) < 0.05 and abs(shares.var() - 1 / 12) < 0.02


def test_outputs_are_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BMX_CACHE", str(tmp_path))
    arrays = Arrays(torch.randn(7, 3), torch.zeros(7, dtype=torch.int64))
    net, asked = nn.Linear(3, 4).eval(), []

    def ask(raw):
        asked.append(len(raw))
        return Outputs(net(raw).detach(), [raw * 2])

    first = outputs_of("key", ask, arrays, torch.device("cpu"))
    again = outputs_of("key", ask, arrays, torch.device("cpu"))
    assert asked == [7]
    assert torch.equal(first.logits, again.logits) and torch.equal(again.features[0], arrays.inputs * 2)
    rows = TeacherOutputs(again).rows(torch.tensor([5, 1]))
    assert torch.equal(rows.logits, first.logits[[5, 1]]) and torch.equal(rows.features[0], arrays.inputs[[5, 1]] * 2)


def test_the_key_tells_teachers_and_facts_apart():
    state = {"w": torch.zeros(3)}
    keys = {
        digest([state], "a"),
        digest([state], "b"),
        digest([{"w": torch.ones(3)}], "a"),
        digest([state, state], "a"),
        digest([{"v": torch.zeros(3)}], "a"),
    }
    assert len(keys) == 5
    assert digest([{"w": torch.zeros(3)}], "a") in keys
