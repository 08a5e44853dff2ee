import torch
from torch import nn

from bmx.measure.cost import cost_of, file_bytes


def test_parameters_are_told_apart() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    net[0].requires_grad_(False)
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[0, 0] = 1
        net[0].weight.fill_(1)
        net[0].bias.fill_(1)
        net[1].bias.fill_(1)
    cost = cost_of(net, torch.zeros(1, 4))
    assert (cost.parameters, cost.trainable_parameters, cost.frozen_parameters) == (23, 8, 15)
    assert cost.nonzero_parameters == 15 + 1 + 2
    assert (cost.macs, cost.flops) == (18, 36)


def test_shared_parameters_count_once() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    assert cost_of(nn.Sequential(first, second), torch.zeros(1, 3)).parameters == 15


def test_bytes_are_those_of_a_real_file(tmp_path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
    file = tmp_path / "archive.pt"
    torch.save(dict(net.state_dict()), file)
    assert file_bytes(net) == file.stat().st_size


def test_a_model_without_numbers_has_a_cost() -> None:
    with torch.device("meta"):
        net = nn.Linear(1000, 1000)
    from bmx.measure.cost import count_macs, nonzero_parameters

    assert count_macs(net, torch.empty(1, 1000, device="meta")) == 1_000_000
    assert nonzero_parameters(net) == 1_001_000
