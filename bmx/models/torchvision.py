"""Classifiers of torchvision, adapted to the data's channels and classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bmx.errors import UsageError, did_you_mean
from bmx.models.layers.checks import image_shape, whole

# These pool an image smaller than torchvision's `min_size` down to nothing. The `min_size` of others is the size they
# were trained at, and they work below it.
WITH_SMALLEST_IMAGE = ("alexnet", "convnext", "densenet", "googlenet", "inception", "squeezenet", "vgg")


class TorchvisionModel(nn.Module):
    """Any classifier of ``torchvision.models``, its head and its first convolution adapted to the data.

    Most were made for images of 224 x 224 and halve them five times; on images of 28 x 28 little is left, and ``vit_*``
    and ``maxvit_t`` take only multiples of their patches. Dropout is that of the network.

    Args:
        name: as ``torchvision.models.list_models(module=torchvision.models)`` has it.
        input_shape: (C, H, W).
        num_classes: the number of outputs.
        weights: None starts from random weights; "DEFAULT" or another of the network's weights, such as
            "IMAGENET1K_V1", from pretrained ones, which torchvision downloads once. Then the head is new where the
            classes are not those of the weights, and the first convolution spreads its three channels over the data's.

    Raises:
        ValueError: the name or the weights are unknown, or the network cannot take the images.
        UsageError: the weights are not on this machine and cannot be downloaded.
    """

    def __init__(self, name: str, input_shape: Sequence[int], num_classes: int, weights: str | None = None) -> None:
        super().__init__()
        # Importing torchvision takes seconds, and nothing else among the models needs it.
        from torchvision import models

        channels, height, width = image_shape(f"torchvision's {name}", input_shape)
        whole(num_classes=num_classes)
        known = models.list_models(module=models)
        if name not in known:
            raise ValueError(f"torchvision has no classifier {name!r}: {did_you_mean(str(name), known)}")
        entries = models.get_model_weights(name)
        if weights is not None and weights not in entries.__members__:
            raise ValueError(f"{name} has no weights {weights!r}: {did_you_mean(str(weights), entries.__members__)}")
        smallest = entries["DEFAULT"].meta["min_size"]
        if name.startswith(WITH_SMALLEST_IMAGE) and (height < smallest[0] or width < smallest[1]):
            raise ValueError(
                f"{name} reads images of at least {smallest[0]}x{smallest[1]}, got {tuple(input_shape)}; "
                "resnet18 and mobilenet_v3_small read any size"
            )
        if weights is None:
            self.net = _untrained(name, (channels, height, width), num_classes)
        else:
            self.net = _pretrained(name, entries[weights], (channels, height, width))
            _fit_head(self.net, num_classes)
        _fit_channels(self.net, channels, pretrained=weights is not None)
        self.net.to(torch.get_default_device())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def _untrained(name: str, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    from torchvision import models

    _, height, width = input_shape
    fields: dict[str, Any] = {"weights": None, "num_classes": num_classes}
    if name in ("googlenet", "inception_v3"):
        # Nothing here uses the second loss of an auxiliary head, and torchvision means to leave the weights to torch's
        # own initialisation.
        fields |= {"aux_logits": False, "init_weights": False}
    if name.startswith("vit_"):
        if height != width:
            raise ValueError(f"{name} reads square images, got {height}x{width}")
        fields["image_size"] = height
    if name.startswith("maxvit"):
        fields["input_size"] = (height, width)
    # RegNets compute their widths with tensors, which the meta device cannot do.
    device = torch.device("cpu") if name.startswith("regnet") else torch.get_default_device()
    try:
        with device:
            return models.get_model(name, **fields)
    except (ValueError, AssertionError, ZeroDivisionError) as error:
        raise ValueError(f"{name} cannot read images of {height}x{width}: {error}") from error


def _pretrained(name: str, weights: Any, input_shape: tuple[int, int, int]) -> nn.Module:
    from torchvision import models

    channels, *size = input_shape
    if name.startswith(("vit_", "maxvit")) and size != list(weights.meta["min_size"]):
        needed = "x".join(map(str, weights.meta["min_size"]))
        raise ValueError(f"the weights {weights.name} of {name} read images of {needed}, got {size[0]}x{size[1]}")
    fields: dict[str, Any] = {"weights": weights}
    if channels != 3 and name in ("googlenet", "inception_v3"):
        fields["transform_input"] = False  # It rescales red, green and blue.
    try:
        # Never on the meta device: there is nothing to copy the weights into.
        with torch.device("cpu"):
            net = models.get_model(name, **fields)
    except (OSError, RuntimeError) as error:  # No network; a download that is cut short or has the wrong hash.
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UsageError(
            f"the pretrained weights of {name} cannot be loaded: {error}",
            f"model.weights={weights.name}",
            f"put {weights.url} into {folder}, or say model.weights=null",
        ) from error
    if name == "inception_v3":
        net.aux_logits = False
        net.AuxLogits = None
    return net


def _fit_head(net: nn.Module, num_classes: int) -> None:
    """Replaces the last layer by a new one, unless it has ``num_classes`` outputs already."""
    head = [m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    if len(head.weight) == num_classes:
        return
    if isinstance(head, nn.Linear):
        head.out_features = num_classes
    else:  # SqueezeNet's head is a 1 x 1 convolution.
        head.out_channels = num_classes
    head.weight = nn.Parameter(head.weight.new_empty(num_classes, *head.weight.shape[1:]))
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias.new_empty(num_classes))
    head.reset_parameters()


def _fit_channels(net: nn.Module, channels: int, pretrained: bool) -> None:
    """Adapts the first convolution to ``channels`` input channels, unless it has them already.

    Pretrained weights are summed over red, green and blue and shared out evenly, so that a grey image repeated over all
    channels gives the same output as repeated over red, green and blue.
    """
    conv = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    if conv.in_channels == channels:
        return
    grey = conv.weight.detach().sum(1, keepdim=True) / channels
    conv.in_channels = channels
    conv.weight = nn.Parameter(grey.repeat(1, channels, 1, 1))
    if not pretrained:
        conv.reset_parameters()
