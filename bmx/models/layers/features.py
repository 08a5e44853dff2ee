"""The input stage of models that read one vector a sample: it fits images, tables and token sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BagOfTokens(nn.Module):
    """The relative frequency of every symbol: (N, T) token ids to (N, vocab_size) float. Pads are not counted."""

    def __init__(self, vocab_size: int, pad_id: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.pad_id = pad_id

    def forward(self, tokens: Tensor) -> Tensor:
        frequencies = torch.zeros(tokens.shape[0], self.vocab_size, device=tokens.device)
        real = (tokens != self.pad_id).to(frequencies.dtype)
        share = real / real.sum(1, keepdim=True).clamp(min=1)
        return frequencies.scatter_add(1, tokens, share)


def feature_stage(input_shape: Sequence[int], vocab_size: int, pad_id: int) -> tuple[nn.Module, int]:
    """The module that turns a batch into (N, features), and the number of features.

    A ``vocab_size`` of 0 says that the data are numbers, an image or a table, which are flattened.
    """
    if vocab_size:
        return BagOfTokens(vocab_size, pad_id), vocab_size
    return nn.Flatten(), math.prod(input_shape)
