"""What holds for every architecture: shapes, the meta device, export, gradients, repeatability."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.models.cnn import CNN
from bmx.models.lenet5 import LeNet5
from bmx.models.linear import Linear
from bmx.models.mlp import MLP
from bmx.models.torchvision import TorchvisionModel
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

VOCABULARY, LENGTH, CLASSES = 20, 12, 5
GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def tokens(batch: int) -> Tensor:
    ids = torch.randint(1, VOCABULARY, (batch, LENGTH))
    for row in range(batch):
        ids[row, LENGTH - row % LENGTH :] = 0
    return ids


def images(*shape: int) -> Callable[[int], Tensor]:
    return lambda batch: torch.randn(batch, *shape)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "linear": (lambda: Linear(GREY, CLASSES), images(*GREY)),
    "linear table": (lambda: Linear((4,), CLASSES), images(4)),
    "linear tokens": (lambda: Linear((LENGTH,), CLASSES, vocab_size=VOCABULARY), tokens),
    "mlp": (lambda: MLP(GREY, CLASSES, dropout=0.3), images(*GREY)),
    "mlp tokens": (lambda: MLP((LENGTH,), CLASSES, [8], vocab_size=VOCABULARY), tokens),
    "lenet_300_100": (lambda: MLP(GREY, CLASSES, [300, 100]), images(*GREY)),
    "lenet5": (lambda: LeNet5(GREY, CLASSES), images(*GREY)),
    "lenet5 1998": (lambda: LeNet5(COLOUR, CLASSES, "tanh", "avg"), images(*COLOUR)),
    "lenet5 odd": (lambda: LeNet5((1, 27, 28), CLASSES, dropout=0.1), images(1, 27, 28)),
    "lenet5_caffe": (lambda: CNN(GREY, CLASSES, 2, 20, 2.5, 5, hidden=500), images(*GREY)),
    "cnn": (lambda: CNN(GREY, CLASSES, dropout=0.2), images(*GREY)),
    "cnn norm": (lambda: CNN(COLOUR, CLASSES, 3, 8, padding=1, batch_norm=True, hidden=0), images(*COLOUR)),
    "transformer": (lambda: Transformer(VOCABULARY, LENGTH, CLASSES), tokens),
    "transformer cls": (lambda: Transformer(VOCABULARY, LENGTH, CLASSES, stem="none", pooling="cls"), tokens),
    "transformer mean": (lambda: Transformer(VOCABULARY, LENGTH, CLASSES, pooling="mean", dropout=0.1), tokens),
    "vit": (lambda: ViT(GREY, CLASSES, 7, 2, 32), images(*GREY)),
    "vit mean": (lambda: ViT(COLOUR, CLASSES, 8, 1, 32, pooling="mean", dropout=0.1), images(*COLOUR)),
    "torchvision": (lambda: TorchvisionModel("resnet18", GREY, CLASSES), images(*GREY)),
}
OWN = [word for word in CASES if word != "torchvision"]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Callable[[], nn.Module], Callable[[int], Tensor]]:
    torch.manual_seed(0)
    return CASES[request.param]


def test_logits_have_one_row_a_sample_and_repeat_in_eval_mode(case):
    build, draw = case
    model, x = build().eval(), draw(3)
    logits = model(x)
    assert logits.shape == (3, CLASSES)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(model(x), logits, rtol=0, atol=0)


def test_a_sample_does_not_depend_on_its_batch(case):
    build, draw = case
    model, x = build().eval(), draw(4)
    torch.testing.assert_close(torch.cat([model(row[None]) for row in x]), model(x), rtol=1e-4, atol=1e-5)


def test_builds_and_runs_on_the_meta_device(case):
    build, draw = case
    with torch.device("meta"):
        model = build()
        logits = model(draw(2).to("meta") if draw is not tokens else torch.empty(2, LENGTH, dtype=torch.int64))
    assert logits.is_meta
    assert logits.shape == (2, CLASSES)
    assert all(p.is_meta for p in model.parameters())


def test_exports_with_a_dynamic_batch(case):
    build, draw = case
    model = build().eval()
    exported = torch.export.export(model, (draw(2),), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    x = draw(5)
    torch.testing.assert_close(exported(x), model(x), rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter(case):
    build, draw = case
    model = build().train()
    F.cross_entropy(model(draw(16)), torch.arange(16) % CLASSES).backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []


def test_the_same_seed_gives_the_same_weights(case):
    build, _ = case
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build().state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("word", [word for word, (_, draw) in CASES.items() if draw(1).ndim == 4])
def test_channels_last_gives_the_same_logits(word):
    build, draw = CASES[word]
    x = draw(2)
    model = build().eval()
    expected = model(x)
    model = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("word", OWN)
def test_own_models_end_in_a_linear_head_and_call_each_module_once(word):
    build, draw = CASES[word]
    model = build()
    assert isinstance(model.head, nn.Linear)
    calls: dict[str, int] = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    model(draw(2))
    assert set(calls.values()) == {1}


@pytest.mark.parametrize("word", ["mlp", "lenet5", "cnn"])
def test_dropout_leaves_the_names_of_the_weights(word):
    make = {"mlp": MLP, "lenet5": LeNet5, "cnn": CNN}[word]
    plain, dropping = make(GREY, CLASSES), make(GREY, CLASSES, dropout=0.5)
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(2, *GREY)
    torch.testing.assert_close(dropping.eval()(x), plain.eval()(x))
    assert not torch.equal(dropping.train()(x), dropping(x))
