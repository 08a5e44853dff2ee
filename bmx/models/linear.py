"""Linear and logistic regression."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from bmx.models.layers.checks import whole
from bmx.models.layers.features import feature_stage


class Linear(nn.Module):
    """One linear layer: linear regression, or logistic regression where the loss is a cross-entropy.

    Args:
        input_shape: (C, H, W), (F,) or (T,).
        num_outputs: the number of outputs that the data require.
        num_classes: replaces ``num_outputs``; 1 makes the single unit of binary logistic regression.
        bias: whether a constant is added to each output.
        vocab_size: 0 for images and tables; otherwise the inputs are token ids, read as symbol frequencies.
        pad_id: the token that is not counted.

    Raises:
        ValueError: there would be no output.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        num_classes: int | None = None,
        bias: bool = True,
        vocab_size: int = 0,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        outputs = num_outputs if num_classes is None else num_classes
        whole(num_classes=outputs)
        self.input, features = feature_stage(input_shape, vocab_size, pad_id)
        self.head = nn.Linear(features, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.input(x))
