"""Pre-norm transformer encoder, shared by the transformer and the vision transformer."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from bmx.models.layers.activations import activation as make_activation
from bmx.models.layers.attention import Attention
from bmx.models.layers.checks import above_zero, probability, whole


class EncoderBlock(nn.Module):
    """Pre-norm encoder block: attention, then an MLP, each on normalised inputs, with residuals (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, mlp_width: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.dropout1 = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width)
        mlp: OrderedDict[str, nn.Module] = OrderedDict()
        mlp["linear1"] = nn.Linear(width, mlp_width)
        mlp["act"] = make_activation(activation)
        mlp["linear2"] = nn.Linear(mlp_width, width)
        self.mlp = nn.Sequential(mlp)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout1(self.attention(self.norm1(x), mask))
        return x + self.dropout2(self.mlp(self.norm2(x)))


class Encoder(nn.Module):
    """Stack of ``depth`` encoder blocks: (N, T, width) to (N, T, width); the last norm is the model's, after pooling.

    Args:
        depth: number of blocks.
        width: features of a token.
        heads: number of attention heads; divides ``width``.
        mlp_ratio: width of the MLP's hidden layer, in multiples of ``width``.
        activation: of the MLP; see ``bmx.models.layers.activations``.
        dropout: probability that an attention weight, or an output of attention or MLP, is dropped.

    Raises:
        ValueError: a field is out of its range.
    """

    def __init__(self, depth: int, width: int, heads: int, mlp_ratio: float, activation: str, dropout: float) -> None:
        super().__init__()
        whole(depth=depth, width=width, heads=heads)
        probability(dropout=dropout)
        above_zero(mlp_ratio=mlp_ratio)
        mlp_width = max(1, round(width * mlp_ratio))
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, mlp_width, activation, dropout) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x


def initialise(module: nn.Module) -> None:
    """Initialises linear and embedding weights from a normal of standard deviation 0.02 truncated at ±2, biases zero.

    For ``nn.Module.apply``; what BERT (Devlin et al. 2019) and the vision transformers use.
    """
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
