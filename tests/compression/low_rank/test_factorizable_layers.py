"""Which layers are factored, which are left alone, and that every net still runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bmx.compression.low_rank.factored import Factored
from bmx.compression.low_rank.factorizable_layers import find_targets
from bmx.compression.low_rank.method import LowRank
from bmx.compression.rebuild import rebuild
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT
from tests.compression.low_rank_nets import context, images, rows

PLAIN, PICTURES = context(rows()), context(images())


def test_layers_that_are_left_alone_are_named_with_the_reason():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 8, 3)
            self.grouped = nn.Conv2d(8, 8, 3, groups=8)
            self.norm = nn.BatchNorm2d(8)
            self.up = nn.ConvTranspose2d(8, 8, 2)
            self.lstm = nn.LSTM(8, 8, batch_first=True)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.one = nn.Linear(8, 1)
            self.tied = nn.Linear(8, 8)
            self.twin = nn.Linear(8, 8)
            self.twin.weight = self.tied.weight
            self.bilinear = nn.Bilinear(8, 8, 8)
            self.scale = nn.Parameter(torch.ones(8))

        def forward(self, x):
            x = self.up(self.norm(self.grouped(self.conv(x)))).flatten(2).transpose(1, 2)
            x = self.attention(x, x, x)[0] + self.lstm(x)[0]
            return self.one(self.bilinear(self.tied(x), self.twin(x)) * self.scale).mean(1)

    found = find_targets(Odd().eval(), images(1))
    assert list(found.targets) == ["conv"]
    reasons = {name: why.split(":")[0].split(" ")[0] for name, why in found.left.items()}
    assert reasons == {
        "": "parameters", "grouped": "grouped", "norm": "vectors", "up": "transposed", "lstm": "recurrent",
        "attention": "torch's", "attention.out_proj": "never", "one": "too", "tied": "shares", "twin": "shares",
        "bilinear": "no",
    }  # fmt: skip


def test_fused_attention_layers_are_factored_and_torchs_own_encoder_still_runs():
    torch.manual_seed(0)
    vit = ViT((1, 12, 12), 4, 4, 1, 32).eval()
    outcome = LowRank(budget={"params": 0.4})(vit, PICTURES)
    assert any("qkv" in name for name in outcome.facts["ranks"])
    assert outcome.net(images()).shape == (96, 4)
    layer = nn.TransformerEncoderLayer(20, 2, 64, batch_first=True)
    net = nn.Sequential(
        nn.Unflatten(1, (1, 20)), nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(20, 4)
    ).eval()
    outcome = LowRank("energy", {"params": 0.4})(net, PLAIN)
    assert any("linear1" in name for name in outcome.facts["ranks"])
    with torch.inference_mode():
        assert outcome.net(rows()).shape == (128, 4)


def test_one_dimensional_convolutions_and_tokens():
    torch.manual_seed(0)
    x = torch.randint(0, 20, (32, 12))
    net = Transformer(20, 12, 4, depth=1, width=16).eval()
    outcome = LowRank(budget={"params": 0.4})(net, context(x))
    assert any(isinstance(m, Factored) and isinstance(m.first, nn.Conv1d) for m in outcome.net.modules())
    assert any(c.name == "embedding" and "looked up" in c.note for c in outcome.layers)


@pytest.mark.parametrize(
    ("name", "size", "targets", "left"),
    [
        ("vgg16", 32, {"features.0", "classifier.0", "classifier.6"}, set()),
        ("resnet18", 32, {"conv1", "layer1.0.conv1", "layer2.0.downsample.0", "fc"}, {"bn1"}),
        ("vit_b_16", 32, {"conv_proj", "encoder.layers.encoder_layer_0.mlp.0", "heads.head"},
         {"encoder.layers.encoder_layer_0.self_attention", "encoder.layers.encoder_layer_0.self_attention.out_proj"}),
        ("mobilenet_v3_small", 32, {"classifier.0"}, {"features.1.block.0.0"}),
    ],
)  # fmt: skip
def test_torchvision_models_are_covered_and_built_again_from_shapes(name, size, targets, left):
    from torchvision import models

    fields = {"image_size": size} if name.startswith("vit") else {}
    with torch.device("meta"):
        net, again = (models.get_model(name, num_classes=10, **fields).eval() for _ in range(2))
        x = torch.empty(1, 3, size, size)
    found = find_targets(net, x)
    assert targets <= set(found.targets)
    assert left <= set(found.left)
    layers = [{"name": n, "scheme": "channel", "ranks": [1 + t.rank // 8]} for n, t in found.targets.items()]
    made = rebuild(again, [{"kind": "low_rank", "layers": layers}])
    assert made(x).shape == (1, 10)
    assert sum(p.numel() for p in made.parameters()) < 0.6 * sum(p.numel() for p in net.parameters())
