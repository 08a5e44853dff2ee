"""Nets that cannot be trained on one sample, for tests that name them as a ``_target_``."""

from torch import Tensor, nn


class Normed(nn.Sequential):
    """A table net whose batch norm has one value per channel and sample."""

    def __init__(self, in_features: int, num_classes: int | None) -> None:
        super().__init__(nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, num_classes))


class NormedImages(nn.Sequential):
    """As in a ResNet on small images: what its last batch norm sees is one pixel."""

    def __init__(self, in_channels: int, num_classes: int | None) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 4, 3, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.BatchNorm2d(4),
            nn.Flatten(),
            nn.Linear(4, num_classes),
        )


class NormedMaps(nn.Sequential):
    """Batch norm over whole maps, for which one image is enough."""

    def __init__(self, in_channels: int, num_classes: int | None) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, num_classes),
        )  # fmt: skip


class Unmeasurable(Normed):
    """One that the meta device cannot run: what it does depends on the values."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs if inputs.abs().max().item() < 1e9 else -inputs)
