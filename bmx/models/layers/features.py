"""Turns images, table rows or token sequences into one feature vector per sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BagOfTokens(nn.Module):
    """Bag of tokens: relative frequency of every token id, (N, T) to (N, vocab_size) float. Padding is not counted."""

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

    A ``vocab_size`` of 0 means that the data are numbers, an image or a table row, which are flattened.
    """
    if vocab_size:
        return BagOfTokens(vocab_size, pad_id), vocab_size
    return nn.Flatten(), math.prod(input_shape)
