"""Vision transformers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bmx.models.layers.checks import choice, image_shape, probability, whole
from bmx.models.layers.encoder import Encoder, initialise

POOLINGS = ("cls", "mean")


class ViT(nn.Module):
    """A vision transformer: square patches of the image are the tokens of a pre-norm encoder (Dosovitskiy et al. 2021).

    Args:
        input_shape: (C, H, W).
        num_classes: the number of outputs.
        patch_size: side of a patch, pixels; divides the height and the width of the image.
        depth: number of encoder blocks.
        width: features of a token.
        heads: number of attention heads; divides ``width``.
        mlp_ratio: width of the MLP's hidden layer, in multiples of ``width``.
        pooling: "cls", a learned token put in front, or "mean" over the patches.
        activation: of the MLP; see ``bmx.models.layers.activations``.
        dropout: probability that an embedded patch's feature, an attention weight or a block's output is dropped.

    Raises:
        ValueError: the data are not images, the patches do not cover the image evenly (the sizes that do are named),
            or a field is unknown or out of its range.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        patch_size: int = 4,
        depth: int = 4,
        width: int = 128,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        pooling: str = "cls",
        activation: str = "gelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, image_width = image_shape("ViT", input_shape)
        whole(num_classes=num_classes, patch_size=patch_size, width=width)
        probability(dropout=dropout)
        choice("pooling", pooling, POOLINGS)
        if height % patch_size or image_width % patch_size:
            fit = [s for s in range(1, min(height, image_width) + 1) if height % s == 0 and image_width % s == 0]
            raise ValueError(
                f"patch_size={patch_size} does not divide images of {height}x{image_width}; "
                f"these do: {', '.join(map(str, fit))}"
            )
        self.patches = nn.Conv2d(channels, width, patch_size, stride=patch_size)
        self.cls = nn.Parameter(torch.empty(1, 1, width)) if pooling == "cls" else None
        tokens = (height // patch_size) * (image_width // patch_size) + (self.cls is not None)
        self.position = nn.Parameter(torch.empty(1, tokens, width))
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(depth, width, heads, mlp_ratio, activation, dropout)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)
        self.apply(initialise)
        nn.init.trunc_normal_(self.position, std=0.02)
        if self.cls is not None:
            nn.init.trunc_normal_(self.cls, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.cls is not None:
            x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.encoder(self.dropout(x + self.position))
        return self.head(self.norm(x.mean(1) if self.cls is None else x[:, 0]))
