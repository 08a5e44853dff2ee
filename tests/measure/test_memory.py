import copy

import pytest
import torch
from torch import nn

from bmx.measure.memory import measure_memory, predict_memory
from bmx.models.cnn import CNN
from bmx.models.lenet5 import LeNet5
from bmx.models.mlp import MLP
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

GREY = (1, 28, 28)


def test_one_linear_layer_by_hand() -> None:
    net = nn.Linear(10, 20, bias=False)
    memory = predict_memory(net, torch.zeros(8, 10), lambda y: y.sum())
    out = 8 * 20 * 4
    assert memory.weights == 800
    assert memory.forward == out
    # The outputs live until the sum is taken; then the scalar, its gradient and that of the weights.
    assert out + 800 <= memory.training <= out + 800 + 64
    assert memory.saved == out


def test_a_chain_in_eval_mode_keeps_two_at_a_time() -> None:
    net = nn.Sequential(*(nn.Linear(100, 100, bias=False) for _ in range(10)))
    memory = predict_memory(net, torch.zeros(4, 100))
    assert memory.forward == 2 * 4 * 100 * 4
    assert memory.saved is not None and memory.saved >= 10 * 4 * 100 * 4


@pytest.mark.parametrize(
    ("net", "inputs"),
    [
        (LeNet5(GREY, 10), torch.zeros(32, *GREY)),
        (CNN(GREY, 10, batch_norm=True), torch.zeros(32, *GREY)),
        (MLP(GREY, 10), torch.zeros(32, *GREY)),
        (ViT(GREY, 10, depth=2, width=32), torch.zeros(16, *GREY)),
        (Transformer(50, 12, 3, depth=2, width=32, stem="none"), torch.ones(16, 12, dtype=torch.int64)),
    ],
    ids=["lenet5", "cnn", "mlp", "vit", "transformer"],
)
def test_the_prediction_is_what_the_allocator_sees(net: nn.Module, inputs: torch.Tensor) -> None:
    if inputs.ndim == 4:
        net = net.to(memory_format=torch.channels_last)
    memory = measure_memory(net, inputs, predict_memory(net, inputs))
    assert memory.forward_measured == pytest.approx(memory.forward, rel=0.05)
    assert memory.training_measured == pytest.approx(memory.training, rel=0.05)


def test_half_precision_keeps_less() -> None:
    net, inputs = MLP(GREY, 10, hidden=[2000, 2000]), torch.zeros(512, *GREY)
    full = predict_memory(net, inputs).saved
    mixed = predict_memory(net, inputs, autocast=lambda: torch.autocast("cpu", torch.bfloat16)).saved
    assert full is not None and mixed is not None
    # Half the activations, and bfloat16 copies of weights and inputs.
    copies = 2 * (sum(p.numel() for p in net.parameters()) + inputs.numel())
    assert mixed < full / 2 + copies + 100_000


def test_batch_normalisation_of_one_sample_cannot_be_trained() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    memory = predict_memory(net, torch.zeros(1, 3))
    assert memory.training is None and memory.forward > 0
    assert measure_memory(net, torch.zeros(1, 3), memory).training_measured is None


def test_a_model_that_looks_at_numbers_cannot_be_predicted() -> None:
    class Choosy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(NotImplementedError, match="depends on the numbers"):
        predict_memory(Choosy(), torch.zeros(2))


def test_nothing_of_that_size_is_allocated_and_the_model_is_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64)).eval()
    before = copy.deepcopy(net.state_dict())
    # A batch of 100 TB.
    memory = predict_memory(net, torch.empty(1, 3, 1, 1).expand(400_000, 3, 1000, 1000))
    assert memory.forward > 10**14
    assert not net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
