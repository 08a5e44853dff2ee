"""Transformer encoders for token sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.models.layers.checks import choice, probability, whole
from bmx.models.layers.encoder import Encoder

STEMS = ("none", "conv", "ngram")
NGRAMS = (2, 3, 4, 5)
POOLINGS = ("max", "mean", "cls")


class Spans(nn.Module):
    """N-gram features of each token: parallel convolutions of several widths, concatenated (Kim 2014).

    Args:
        width: features of a token, in and out.
        spans: the widths, tokens; each has ``width`` filters.
        dropout: probability that an output of a filter is dropped.
    """

    def __init__(self, width: int, spans: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        # An even span looks one token further to the right than to the left.
        self.sides = [((span - 1) // 2, span // 2) for span in spans]
        self.convs = nn.ModuleList(nn.Conv1d(width, width, span) for span in spans)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.join = nn.Conv1d(width * len(spans), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, T) to (N, width, T)."""
        seen = [conv(F.pad(x, sides)) for conv, sides in zip(self.convs, self.sides, strict=True)]
        return self.join(self.dropout(self.act(torch.cat(seen, dim=1))))


class Transformer(nn.Module):
    """A pre-norm transformer encoder over tokens, pooled over the sequence (Vaswani et al. 2017, Xiong et al. 2020).

    Padding at the end of a sequence never influences the result: it is zero before the convolution, masked in the
    attention and left out of the pooling. A sequence of padding alone counts as one token.

    Args:
        vocab_size: number of token ids.
        max_length: the longest sequence, tokens.
        num_classes: the number of outputs.
        pad_id: the padding token.
        depth: number of encoder blocks.
        width: features of a token.
        heads: number of attention heads; divides ``width``.
        mlp_ratio: width of the MLP's hidden layer, in multiples of ``width``.
        stem: "conv" lets each token see its two neighbours, by a convolution of width 3 over the embedded tokens;
            "ngram" looks at spans of 2 to 5 tokens, as in Kim 2014; "none" leaves that to the attention.
        pooling: "max" or "mean" over the real tokens, or "cls", a learned token put in front.
        activation: of the MLP; see ``bmx.models.layers.activations``.
        dropout: probability that a feature is dropped behind the stem's convolutions and before the head.
        block_dropout: probability that an attention weight, or an output of attention or MLP, is dropped.

    Raises:
        ValueError: the data are not tokens, or a field is unknown or out of its range.
    """

    def __init__(
        self,
        vocab_size: int,
        max_length: int,
        num_classes: int,
        pad_id: int = 0,
        depth: int = 2,
        width: int = 96,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        stem: str = "ngram",
        pooling: str = "max",
        activation: str = "gelu",
        dropout: float = 0.0,
        block_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not vocab_size or not max_length:
            raise ValueError("Transformer reads token sequences, and these data have no vocabulary")
        whole(vocab_size=vocab_size, max_length=max_length, num_classes=num_classes, width=width)
        probability(dropout=dropout, block_dropout=block_dropout)
        choice("stem", stem, STEMS)
        choice("pooling", pooling, POOLINGS)
        self.pad_id = pad_id
        self.max_length = max_length
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, width)
        spans = {"none": (), "conv": (3,), "ngram": NGRAMS}[stem]
        self.stem = Spans(width, spans, dropout) if spans else None
        self.position = nn.Parameter(torch.empty(1, max_length, width))
        self.cls = nn.Parameter(torch.empty(1, 1, width)) if pooling == "cls" else None
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(depth, width, heads, mlp_ratio, activation, block_dropout)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)
        nn.init.trunc_normal_(self.position, std=0.02)
        if self.cls is not None:
            nn.init.trunc_normal_(self.cls, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) token ids, T at most ``max_length``, to (N, num_classes) logits."""
        length = tokens.shape[1]
        if length > self.max_length:
            raise ValueError(f"sequences of {length} tokens are longer than max_length={self.max_length}")
        # The first position is always kept, so that softmax and maximum have something to work on in an empty sequence.
        keep = F.pad(tokens[:, 1:] != self.pad_id, (1, 0), value=True)
        x = self.embedding(tokens) * keep.unsqueeze(-1)
        if self.stem is not None:
            x = self.stem(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.position[:, :length]
        if self.cls is not None:
            x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)
            keep = F.pad(keep, (1, 0), value=True)
        x = self.encoder(x, keep[:, None, None, :])
        return self.head(self.dropout(self.norm(self.pool(x, keep))))

    def pool(self, x: Tensor, keep: Tensor) -> Tensor:
        """Pools (N, T, width) to (N, width), one vector per sequence; ``keep`` is the (N, T) mask of real tokens."""
        if self.pooling == "cls":
            return x[:, 0]
        if self.pooling == "max":
            return x.masked_fill(~keep.unsqueeze(-1), float("-inf")).amax(1)
        return (x * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True)
