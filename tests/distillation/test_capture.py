"""Layers by their paths."""

import pytest
import torch
from torch import nn

from bmx.distillation.capture import Capture, choose_layer
from bmx.errors import UsageError
from bmx.models.cnn import CNN
from bmx.models.mlp import MLP
from bmx.models.vit import ViT


def test_outputs_and_inputs_of_layers():
    net = CNN((1, 8, 8), 10, padding=1, width=3, hidden=5).eval()
    x = torch.randn(2, 1, 8, 8)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    capture = Capture(net, ["features.0", "head:input"])
    logits = net(x)
    maps, embedding = capture.take()
    assert maps.shape == (2, 3, 4, 4) and torch.equal(maps, net.features[0](x))
    assert torch.equal(net.head(embedding), logits)
    assert net.state_dict().keys() == before.keys()
    capture.close()
    capture._kept.clear()
    net(x)
    with pytest.raises(UsageError, match="not used"):
        capture.take()


def test_a_wrong_path_lists_the_nearest():
    with pytest.raises(UsageError) as caught:
        Capture(CNN((1, 8, 8), 10, padding=1), ["featuers.1"], "distillation.student_layers")
    assert caught.value.where == "distillation.student_layers"
    assert "features.1" in caught.value.fix


def test_what_is_no_tensor_is_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    net = nn.Sequential(nn.Linear(2, 2), Pair())
    capture = Capture(net, ["1"])
    net(torch.zeros(1, 2))
    with pytest.raises(UsageError, match="does not give one tensor"):
        capture.take()


def test_layers_that_are_chosen():
    image = torch.randn(2, 1, 8, 8)
    cnn, mlp, vit = CNN((1, 8, 8), 10, padding=1), MLP((1, 8, 8), 10), ViT((1, 8, 8), 10, depth=1, width=16)
    cnn.train()
    assert choose_layer(cnn, image, "embedding") == "head:input"
    assert cnn.training
    assert choose_layer(mlp, image, "embedding") == "head:input"
    assert choose_layer(cnn, image, "map") == "features"
    assert choose_layer(vit, image, "map")
    with pytest.raises(UsageError, match="no layer whose output has positions"):
        choose_layer(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), image, "map")
