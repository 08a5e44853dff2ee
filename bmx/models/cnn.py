"""Plain convolutional networks (CNNs) of any depth and width."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from bmx.models.layers.activations import activation as make_activation
from bmx.models.layers.activations import pool_and_activation
from bmx.models.layers.checks import above_zero, image_shape, probability, whole
from bmx.models.mlp import hidden_layers

# An image is not pooled below this side: a 3x3 convolution of less sees mostly padding.
_SMALLEST = 3


def stage_sizes(size: int, kernel_size: int, padding: int, most: int) -> list[int]:
    """The side of an image after each stage (convolution of stride 1, then 2 x 2 pooling), ``most`` stages at most.

    The list ends early where the image has nothing left to convolve or to pool.
    """
    sizes: list[int] = []
    while len(sizes) < most and (size := (size + 2 * padding - kernel_size + 1) // 2) > 0:
        sizes.append(size)
    return sizes


class StagePlan(NamedTuple):
    """Which stages pool, how their convolutions are padded, and the size (H, W) of the final feature map."""

    pools: tuple[bool, ...]
    padding: int
    left: tuple[int, int]


def plan_stages(image: tuple[int, int], depth: int, kernel_size: int, padding: int) -> StagePlan:
    """Plans the poolings: in every stage if the image is large enough, otherwise in some stages, evenly spread.

    In the second case convolutions keep the size of the image, and it is halved as often as leaves 3 pixels a side.

    Raises:
        ValueError: an even kernel cannot keep the size of the image.
    """
    heights, widths = (stage_sizes(side, kernel_size, padding, depth) for side in image)
    deepest = min(len(heights), len(widths))
    if deepest == depth:
        return StagePlan((True,) * depth, padding, (heights[-1], widths[-1]))
    if kernel_size % 2 == 0:
        fit = f"the largest depth is {deepest}" if deepest else "not even one stage fits"
        raise ValueError(
            f"a CNN of depth={depth} is too deep for images of {image[0]}x{image[1]} with the even "
            f"kernel_size={kernel_size}: {fit}"
        )
    halvings, side = 0, min(image)
    while halvings < depth and side // 2 >= _SMALLEST:
        side, halvings = side // 2, halvings + 1
    pools = tuple((i + 1) * halvings // depth > i * halvings // depth for i in range(depth))
    return StagePlan(pools, kernel_size // 2, (image[0] >> halvings, image[1] >> halvings))


class CNN(nn.Module):
    """``depth`` stages of convolution, 2 x 2 pooling and activation, then linear layers.

    A stage that comes after i poolings has ``width * multiplier**i`` channels, rounded. Where the image is too small
    to be pooled in each of ``depth`` stages, only some of them pool; see :func:`plan_stages`.

    The defaults are conv 3x3 32, pool, conv 3x3 64, pool, linear 128, linear 10: 225,034 parameters on 1 x 28 x 28 and
    ten classes. ``depth=2, width=20, multiplier=2.5, kernel_size=5, hidden=500`` is the LeNet-5 that Caffe ships:
    431,080.

    Args:
        input_shape: (C, H, W).
        num_classes: the number of outputs.
        depth: number of stages.
        width: channels of the first stage.
        multiplier: how many times wider each stage is than the one before.
        kernel_size: side of the convolutions, pixels.
        padding: zeros around the input of each convolution, pixels; where only some stages pool, half the kernel.
        batch_norm: normalise after each convolution (Ioffe & Szegedy 2015).
        pool: "max" or "avg".
        hidden: width of the linear layer before the last; 0 leaves it out.
        activation: see ``bmx.models.layers.activations``.
        conv_activation: the activation of the stages, where it differs from that of the hidden layer.
        dropout: probability that an input of the last linear layer is dropped.

    Raises:
        ValueError: the data are not images, a field is out of its range, or a network with an even kernel is too deep
            for the image; then the largest depth is named.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        depth: int = 2,
        width: int = 32,
        multiplier: float = 2.0,
        kernel_size: int = 3,
        padding: int = 0,
        batch_norm: bool = False,
        pool: str = "max",
        hidden: int = 128,
        activation: str = "relu",
        conv_activation: str | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, image_width = image_shape("CNN", input_shape)
        whole(num_classes=num_classes, depth=depth, width=width, kernel_size=kernel_size)
        probability(dropout=dropout)
        whole(0, padding=padding, hidden=hidden)
        above_zero(multiplier=multiplier)
        plan = plan_stages((height, image_width), depth, kernel_size, padding)

        stages: list[nn.Module] = []
        for i, pools in enumerate(plan.pools):
            wide = max(1, round(width * multiplier ** sum(plan.pools[:i])))
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            # A batch norm has its own constant per channel, so the convolution's bias would have no effect.
            stage["conv"] = nn.Conv2d(channels, wide, kernel_size, padding=plan.padding, bias=not batch_norm)
            if batch_norm:
                stage["norm"] = nn.BatchNorm2d(wide)
            if pools:
                stage["pool"], stage["act"] = pool_and_activation(pool, conv_activation or activation)
            else:
                stage["act"] = make_activation(conv_activation or activation)
            stages.append(nn.Sequential(stage))
            channels = wide
        self.features = nn.Sequential(*stages)
        self.flatten = nn.Flatten()
        features = channels * plan.left[0] * plan.left[1]
        if hidden:
            self.hidden = hidden_layers([features, hidden], activation, dropout)
        else:
            self.hidden = nn.Sequential(*([nn.Dropout(dropout)] if dropout else []))
        self.head = nn.Linear(hidden or features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.flatten(self.features(x))))
