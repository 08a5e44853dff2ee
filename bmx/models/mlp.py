"""Multi-layer perceptrons (MLPs)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from bmx.models.layers.activations import activation as make_activation
from bmx.models.layers.checks import probability, whole
from bmx.models.layers.features import feature_stage


def hidden_layers(widths: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """Linear layers ``widths[0]`` → ... → ``widths[-1]``, an activation and a dropout after each but the first width.

    The names of the linear layers do not depend on ``dropout``, so that weights move between runs that differ in it.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (narrow, wide) in enumerate(pairwise(widths), start=1):
        layers[f"linear{i}"] = nn.Linear(narrow, wide)
        layers[f"act{i}"] = make_activation(activation)
        if dropout:
            layers[f"drop{i}"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


class MLP(nn.Module):
    """A stack of linear layers with an activation, and a dropout if wanted, after each but the last.

    ``hidden=[300, 100]`` on MNIST is LeNet-300-100 (LeCun et al. 1998, section III-C.3): 266,610 parameters.

    Args:
        input_shape: (C, H, W), (F,) or (T,).
        num_classes: the number of outputs.
        hidden: the width of every hidden layer; empty gives a linear model.
        activation: see ``bmx.models.layers.activations``.
        dropout: probability that a hidden unit is dropped.
        vocab_size: 0 for images and tables; otherwise the inputs are token ids, read as symbol frequencies.
        pad_id: the token that is not counted.

    Raises:
        ValueError: a width below 1, an unknown activation, a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        hidden: Sequence[int] = (256, 128),
        activation: str = "relu",
        dropout: float = 0.0,
        vocab_size: int = 0,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(hidden, (str, int)):
            raise ValueError(f"hidden must be a list of widths such as [300, 100], got {hidden!r}")
        whole(num_classes=num_classes, **{f"hidden[{i}]": width for i, width in enumerate(hidden)})
        probability(dropout=dropout)
        self.input, features = feature_stage(input_shape, vocab_size, pad_id)
        widths = [features, *hidden]
        self.hidden = hidden_layers(widths, activation, dropout)
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.input(x)))
