"""torchvision's classifiers fitted to channels and classes; pretrained weights from a file, never from a network."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from bmx.errors import UsageError
from bmx.models.torchvision import TorchvisionModel

SMALL = ["alexnet", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "regnet_y_400mf"]


def fits(name: str, shape: tuple[int, int, int], classes: int = 7) -> None:
    with torch.device("meta"):
        model = TorchvisionModel(name, shape, classes)
        assert all(p.is_meta for p in model.parameters())
        for training in (True, False):  # Inception and GoogLeNet have more to return while training.
            logits = model.train(training)(torch.empty(2, *shape))
            assert isinstance(logits, torch.Tensor)
            assert logits.shape == (2, classes)


@pytest.mark.parametrize("name", [*SMALL, "googlenet", "inception_v3", "vit_b_16", "swin_t", "densenet121"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_fits_channels_and_classes(name, channels):
    fits(name, (channels, 96, 96))


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models(module=models))
def test_fits_every_classifier_there_is(name):
    fits(name, (1, 224, 224), 1)


def test_the_head_and_the_first_convolution_are_all_that_differ():
    plain = models.resnet18(num_classes=1000).state_dict()
    fitted = TorchvisionModel("resnet18", (1, 28, 28), 10).net.state_dict()
    differ = {key for key in plain if plain[key].shape != fitted[key].shape}
    assert plain.keys() == fitted.keys()
    assert differ == {"conv1.weight", "fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("resnet17", (3, 64, 64), "no classifier 'resnet17': did you mean 'resnet1"),
        ("alexnet", (1, 28, 28), "at least 63x63, got \\(1, 28, 28\\)"),
        ("vgg16", (1, 28, 28), "at least 32x32"),
        ("vit_b_16", (1, 28, 28), "vit_b_16 cannot read images of 28x28"),
        ("vit_b_16", (1, 32, 64), "square"),
        ("maxvit_t", (3, 32, 32), "maxvit_t cannot read images of 32x32"),
        ("resnet18", (40,), "got data of shape \\(40,\\)"),
    ],
)
def test_refuses_what_does_not_fit(name, shape, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        TorchvisionModel(name, shape, 10)


def test_refuses_unknown_weights():
    with pytest.raises(ValueError, match="no weights 'IMAGENET1K_V2': did you mean 'IMAGENET1K_V1'"):
        TorchvisionModel("resnet18", (3, 64, 64), 10, weights="IMAGENET1K_V2")


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torchvision keeps what it has downloaded; empty, and with no network to fill it."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def save(name: str, folder: Path, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    net = models.get_model(name, weights=None, **fields)
    torch.save(net.state_dict(), folder / Path(models.get_model_weights(name).DEFAULT.url).name)
    return net.eval()


def test_says_where_to_put_the_weights_when_there_is_no_network(weights_folder):
    with pytest.raises(UsageError) as error:
        TorchvisionModel("resnet18", (3, 64, 64), 10, weights="DEFAULT")
    assert "Name or service not known" in error.value.what
    assert error.value.where == "model.weights=IMAGENET1K_V1"
    assert str(weights_folder) in error.value.fix
    assert "https://download.pytorch.org/models/resnet18" in error.value.fix


def test_pretrained_keeps_the_head_for_the_same_classes(weights_folder):
    reference = save("mobilenet_v3_small", weights_folder)
    x = torch.randn(2, 3, 32, 32)
    model = TorchvisionModel("mobilenet_v3_small", (3, 32, 32), 1000, weights="DEFAULT").eval()
    torch.testing.assert_close(model(x), reference(x))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_pretrained_reads_a_grey_image_in_any_number_of_channels(weights_folder, channels):
    reference = save("mobilenet_v3_small", weights_folder).features[0][0]
    grey = torch.randn(2, 1, 32, 32)
    model = TorchvisionModel("mobilenet_v3_small", (channels, 32, 32), 1000, weights="DEFAULT")
    first = model.net.features[0][0]
    assert first.in_channels == channels
    torch.testing.assert_close(first(grey.repeat(1, channels, 1, 1)), reference(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1"])
def test_pretrained_gets_a_new_head_for_other_classes(weights_folder, name):
    save(name, weights_folder)
    model = TorchvisionModel(name, (3, 32, 32), 4, weights="DEFAULT")
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 4)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_pretrained_with_auxiliary_heads_returns_plain_logits(weights_folder, name):
    save(name, weights_folder, aux_logits=True, init_weights=False)
    with torch.device("meta"):
        model = TorchvisionModel(name, (1, 96, 96), 4, weights="DEFAULT").train()
        assert model(torch.empty(2, 1, 96, 96)).shape == (2, 4)
    assert not any("aux" in key.lower() for key in model.state_dict())


def test_pretrained_vision_transformers_take_the_size_of_their_weights(weights_folder):
    with pytest.raises(ValueError, match="read images of 224x224, got 32x32"):
        TorchvisionModel("vit_b_16", (3, 32, 32), 10, weights="DEFAULT")
