"""Parameters against hand counts and published numbers, and the two recipes against networks written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bmx.models.cnn import CNN
from bmx.models.lenet5 import LeNet5
from bmx.models.linear import Linear
from bmx.models.mlp import MLP
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

GREY = (1, 28, 28)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (Linear(GREY, 10), 7_850),
        (Linear((2,), 2, num_classes=1), 3),
        (Linear((2,), 1, bias=False), 2),
        (Linear((30,), 16, vocab_size=50), 50 * 16 + 16),
        (MLP(GREY, 10, [300, 100]), 266_610),
        (MLP(GREY, 10, []), 7_850),
        (MLP(GREY, 10, [800, 800]), 784 * 800 + 800 + 800 * 800 + 800 + 8_010),
        (LeNet5((1, 32, 32), 10), 61_706),
        (LeNet5(GREY, 10), 61_706),
        (LeNet5(GREY, 10, activation="tanh", pool="avg", dropout=0.5), 61_706),
        (LeNet5((3, 32, 32), 10), 61_706 + 2 * 6 * 25),
        (LeNet5(GREY, 47), 61_706 + 37 * 85),
        (CNN(GREY, 10, depth=2, width=20, multiplier=2.5, kernel_size=5, hidden=500), 431_080),
        (CNN(GREY, 10), 225_034),
        (CNN((3, 32, 32), 10, width=64, padding=1, hidden=1024), 1_792 + 73_856 + 8_389_632 + 10_250),
        (CNN(GREY, 10, depth=1, width=4, batch_norm=True, hidden=0), 36 + 8 + 4 * 13 * 13 * 10 + 10),
    ],
)
def test_counts(model, count):
    assert parameters(model) == count


def block(width: int, mlp: int) -> int:
    attention = width * 3 * width + 3 * width + width * width + width
    return 4 * width + attention + width * mlp + mlp + mlp * width + width


def test_transformer_count():
    spans = sum(96 * 96 * span + 96 for span in (2, 3, 4, 5)) + 4 * 96 * 96 + 96
    expected = 60 * 96 + spans + 40 * 96 + 2 * block(96, 384) + 2 * 96 + 96 * 16 + 16
    assert parameters(Transformer(vocab_size=60, max_length=40, num_classes=16)) == expected


def test_vit_count():
    expected = (49 * 64 + 64) + 64 + 17 * 64 + 3 * block(64, 128) + 2 * 64 + 64 * 10 + 10
    assert parameters(ViT(GREY, 10, patch_size=7, depth=3, width=64, mlp_ratio=2)) == expected


WRITTEN_OUT = {
    "cnn on MNIST": (
        CNN(GREY, 10),
        nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(1600, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        ),
        GREY,
    ),
    "cnn on CIFAR-10": (
        CNN((3, 32, 32), 10, depth=2, width=64, padding=1, hidden=1024),
        nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8192, 1024),
            nn.ReLU(),
            nn.Linear(1024, 10),
        ),
        (3, 32, 32),
    ),
    "lenet5 of 1998": (
        LeNet5((1, 32, 32), 10, activation="tanh", pool="avg"),
        nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, 10),
        ),
        (1, 32, 32),
    ),
    "lenet5_caffe": (
        CNN(GREY, 10, width=20, multiplier=2.5, kernel_size=5, hidden=500, conv_activation="identity"),
        nn.Sequential(
            nn.Conv2d(1, 20, 5),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(800, 500),
            nn.ReLU(),
            nn.Linear(500, 10),
        ),
        GREY,
    ),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_is_the_network_written_out(name):
    model, reference, shape = WRITTEN_OUT[name]
    reference.load_state_dict(dict(zip(reference.state_dict(), model.state_dict().values(), strict=True)))
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x), reference(x))
