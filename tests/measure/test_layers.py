import torch
from torch import nn

from bmx.measure.layer_times import time_layers
from bmx.measure.layers import layers_of
from bmx.measure.macs import count_macs
from bmx.models.lenet5 import LeNet5
from bmx.models.vit import ViT


def test_layers_say_what_they_cost() -> None:
    net = LeNet5((1, 28, 28), 10)
    found = {layer.name: layer for layer in layers_of(net, torch.zeros(1, 1, 28, 28))}
    conv = found["features.conv1"]
    assert (conv.kind, conv.output, conv.parameters, conv.macs, conv.bytes) == (
        "Conv2d",
        (6, 28, 28),
        156,
        117_600,
        6 * 28 * 28 * 4,
    )
    assert sum(layer.parameters for layer in found.values()) == 61_706


def test_nothing_is_left_out_where_a_module_works_by_itself() -> None:
    net, x = ViT((1, 28, 28), 10, depth=2, width=32), torch.zeros(1, 1, 28, 28)
    found = layers_of(net, x)
    assert sum(layer.macs for layer in found) == count_macs(net, x)
    assert sum(layer.parameters for layer in found) == sum(p.numel() for p in net.parameters())
    assert any(layer.kind == "Attention" and layer.macs for layer in found)


def test_times_are_of_each_module_alone() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.little, self.much = nn.Linear(8, 8), nn.Linear(2000, 2000)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.little(x).sum() + self.much(torch.ones(64, 2000)).sum()

    net = Slow().train()
    found = time_layers(net, torch.zeros(1, 8), seconds=0.05)
    assert set(found) == {"", "little", "much"}
    assert found["much"] > found["little"] and found["much"] > found[""]
    assert net.training and not net._forward_hooks
