"""Counts against sums made by hand: output positions times the products in each."""

import pytest
import torch
from torch import nn

from bmx.measure.macs import count_macs, macs_by_module
from bmx.models.cnn import CNN
from bmx.models.lenet5 import LeNet5
from bmx.models.linear import Linear
from bmx.models.mlp import MLP
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

GREY = (1, 28, 28)


def image(*shape: int) -> torch.Tensor:
    return torch.zeros(1, *shape)


def test_lenet5() -> None:
    by_hand = {
        "features.conv1": 28 * 28 * 6 * 25,
        "features.conv2": 10 * 10 * 16 * 6 * 25,
        "hidden.linear1": 400 * 120,
        "hidden.linear2": 120 * 84,
        "head": 84 * 10,
    }
    assert sum(by_hand.values()) == 416_520
    assert macs_by_module(LeNet5(GREY, 10), image(*GREY)) == by_hand
    assert count_macs(LeNet5((1, 32, 32), 10), image(1, 32, 32)) == 416_520


def test_lenet5_of_caffe() -> None:
    net = CNN(GREY, 10, depth=2, width=20, multiplier=2.5, kernel_size=5, hidden=500)
    by_hand = 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10
    assert by_hand == 2_293_000
    assert count_macs(net, image(*GREY)) == by_hand


def test_cnn() -> None:
    by_hand = 26 * 26 * 32 * 9 + 11 * 11 * 64 * 32 * 9 + 1600 * 128 + 128 * 10
    assert count_macs(CNN(GREY, 10), image(*GREY)) == by_hand


@pytest.mark.parametrize(("hidden", "by_hand"), [([300, 100], 266_200), ([256, 128], 784 * 256 + 256 * 128 + 1280)])
def test_mlp(hidden: list[int], by_hand: int) -> None:
    assert count_macs(MLP(GREY, 10, hidden=hidden), image(*GREY)) == by_hand


def test_linear() -> None:
    assert count_macs(Linear(GREY, 10), image(*GREY)) == 7840


def test_linear_on_tokens_counts_its_matrix_alone() -> None:
    net = Linear((40,), 16, vocab_size=153)
    assert count_macs(net, torch.ones(1, 40, dtype=torch.int64)) == 153 * 16


def encoder(depth: int, tokens: int, width: int, mlp: int) -> int:
    """qkv, scores, weighted values, output, then the two layers of the MLP."""
    attention = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    return depth * (attention + 2 * tokens * width * mlp)


def test_vit() -> None:
    by_hand = 49 * 128 * 16 + encoder(4, 50, 128, 512) + 128 * 10
    assert count_macs(ViT(GREY, 10), image(*GREY)) == by_hand


@pytest.mark.parametrize(
    ("stem", "spans", "pooling"), [("conv", [3], "max"), ("ngram", [2, 3, 4, 5], "mean"), ("none", [], "cls")]
)
def test_transformer(stem: str, spans: list[int], pooling: str) -> None:
    net = Transformer(153, 40, 16, depth=2, width=96, heads=4, stem=stem, pooling=pooling)
    tokens = 41 if pooling == "cls" else 40
    # A filter bank for each span, and one product that joins them.
    stems = 40 * 96 * 96 * (sum(spans) + len(spans))
    by_hand = stems + encoder(2, tokens, 96, 384) + 96 * 16
    assert count_macs(net, torch.ones(1, 40, dtype=torch.int64)) == by_hand


@pytest.mark.parametrize(
    ("name", "macs"), [("vgg16", 15_470_264_320), ("resnet18", 1_814_073_344), ("resnet50", 4_089_184_256)]
)
def test_published_networks_at_224(name: str, macs: int) -> None:
    from torchvision import models

    with torch.device("meta"):
        net = models.get_model(name)
    counted = count_macs(net, torch.empty(1, 3, 224, 224, device="meta"))
    assert counted == macs
    published = {"vgg16": 15.5e9, "resnet18": 1.82e9, "resnet50": 4.09e9}[name]
    assert counted == pytest.approx(published, rel=0.005)


class Sequence(nn.Module):
    """A recurrent layer that returns its sequence."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


STEPS, INPUTS, HIDDEN = 7, 10, 20


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [
        (nn.RNN(INPUTS, HIDDEN, batch_first=True), STEPS * HIDDEN * (INPUTS + HIDDEN)),
        (nn.GRU(INPUTS, HIDDEN, batch_first=True), STEPS * 3 * HIDDEN * (INPUTS + HIDDEN)),
        (nn.LSTM(INPUTS, HIDDEN, batch_first=True), STEPS * 4 * HIDDEN * (INPUTS + HIDDEN)),
        (
            nn.LSTM(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True),
            STEPS * 2 * 4 * HIDDEN * ((INPUTS + HIDDEN) + (2 * HIDDEN + HIDDEN)),
        ),
        (
            nn.LSTM(INPUTS, HIDDEN, proj_size=5, batch_first=True),
            STEPS * (4 * HIDDEN * (INPUTS + 5) + HIDDEN * 5),
        ),
    ],
    ids=["rnn", "gru", "lstm", "two-way lstm", "projected lstm"],
)
def test_recurrent_layers(layer: nn.Module, by_hand: int) -> None:
    assert count_macs(Sequence(layer), torch.zeros(1, STEPS, INPUTS)) == by_hand


def test_transformer_encoder_of_torch_in_eval_mode() -> None:
    # Its fast path and the fused attention hide every product from torch's own counter.
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    net = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    assert count_macs(net, torch.zeros(1, 5, 16)) == encoder(3, 5, 16, 32)


def test_products_with_vectors() -> None:
    class Vectors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Parameter(torch.zeros(4, 3))
            self.square = nn.Parameter(torch.zeros(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.addmv(x.new_zeros(4), self.square, self.wide @ x) @ self.square[0]

    assert count_macs(Vectors(), torch.zeros(3)) == 12 + 16 + 4


def test_bilinear() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Bilinear(3, 4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.both(x[:, :3], x[:, 3:])

    assert count_macs(Pair(), torch.zeros(2, 7)) == 2 * 3 * 4 * 5


def test_a_model_that_looks_at_numbers_is_counted_for_real() -> None:
    class Choosy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.once = nn.Linear(8, 8)
            self.layer = nn.LSTM(8, 6, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.sum().item() >= 0:
                x = self.once(x)
            return self.layer(x)[0]

    assert count_macs(Choosy(), torch.zeros(1, 3, 8)) == 3 * 64 + 3 * 4 * 6 * (8 + 6)
