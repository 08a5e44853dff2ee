"""LeNet-5 (LeCun et al. 1998)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from bmx.models.layers.activations import pool_and_activation
from bmx.models.layers.checks import image_shape, probability, whole
from bmx.models.mlp import hidden_layers

SIDE = 32  # LeNet-5's image: the 400 features before its linear layers are 16 maps of ((32 - 4) / 2 - 4) / 2 = 5 x 5.


class LeNet5(nn.Module):
    """LeNet-5: two 5 x 5 convolutions with pooling, then linear 400 → 120 → 84 → classes.

    61,706 parameters for one channel and ten classes. Images smaller than 32 x 32 are zero-padded to it, evenly on
    opposite sides; an odd pixel goes to the right and the bottom.
    LeCun et al. 1998, "Gradient-based learning applied to document recognition"; there tanh and average pooling.

    Args:
        input_shape: (C, H, W).
        num_classes: the number of outputs.
        activation: see ``bmx.models.layers.activations``.
        pool: "max" or "avg".
        dropout: probability that a unit of the two hidden linear layers is dropped.

    Raises:
        ValueError: the data are not images or larger than 32 x 32, or a field is unknown.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        activation: str = "relu",
        pool: str = "max",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape("LeNet5", input_shape)
        whole(num_classes=num_classes)
        probability(dropout=dropout)
        if height > SIDE or width > SIDE:
            raise ValueError(f"LeNet5 reads images of at most {SIDE}x{SIDE}, got {tuple(input_shape)}")
        missing_h, missing_w = SIDE - height, SIDE - width
        features: OrderedDict[str, nn.Module] = OrderedDict()
        if missing_h % 2 or missing_w % 2:
            features["pad"] = nn.ZeroPad2d(
                (missing_w // 2, missing_w - missing_w // 2, missing_h // 2, missing_h - missing_h // 2)
            )
            padding = (0, 0)
        else:  # The convolution pads at no cost of its own.
            padding = (missing_h // 2, missing_w // 2)
        features["conv1"] = nn.Conv2d(channels, 6, 5, padding=padding)
        features["pool1"], features["act1"] = pool_and_activation(pool, activation)
        features["conv2"] = nn.Conv2d(6, 16, 5)
        features["pool2"], features["act2"] = pool_and_activation(pool, activation)
        features["flatten"] = nn.Flatten()
        self.features = nn.Sequential(features)
        self.hidden = hidden_layers([400, 120, 84], activation, dropout)
        self.head = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.features(x)))
