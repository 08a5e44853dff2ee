"""Small nets of many kinds, each with something that a compression can get wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPE = (4, 16, 16)
CLASSES = 5
TOKENS = 12
VOCABULARY = 30


def conv(inputs: int, outputs: int, kernel: int = 3, **more) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **more)


class Images(nn.Module):
    """A stem, something in the middle, and a head on the mean of each channel."""

    width = 16

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(SHAPE[0], self.width)
        self.build()
        self.head = nn.Linear(self.features(), CLASSES)

    def build(self) -> None:
        self.middle = conv(self.width, self.width)

    def features(self) -> int:
        return self.width

    def body(self, x: Tensor) -> Tensor:
        return F.relu(self.middle(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(F.relu(self.stem(x))).flatten(2).mean(2))


class Plain(Images):
    """Convolutions one after another."""


class BatchNorms(Images):
    def build(self):
        self.norm1, self.middle, self.norm2 = nn.BatchNorm2d(16), conv(16, 32, bias=False), nn.BatchNorm2d(32)

    def features(self):
        return 32

    def body(self, x):
        return F.relu(self.norm2(self.middle(self.norm1(x))))


class NormWithActivation(Images):
    """A batch normalisation with its activation inside, as timm has it."""

    class BatchNormAct(nn.BatchNorm2d):
        def forward(self, x):
            return F.relu(super().forward(x))

    def build(self):
        self.middle, self.norm = conv(16, 32), self.BatchNormAct(32)

    def features(self):
        return 32

    def body(self, x):
        return self.norm(self.middle(x))


class SharedNorm(Images):
    """One normalisation behind two convolutions."""

    def build(self):
        self.one, self.two, self.norm = conv(16, 16), conv(16, 16), nn.BatchNorm2d(16)

    def body(self, x):
        return F.relu(self.norm(self.two(F.relu(self.norm(self.one(x))))))


class InPlace(Images):
    """Writes into the output of a convolution before its normalisation reads it."""

    def build(self):
        self.middle, self.norm = conv(16, 16), nn.BatchNorm2d(16)

    def body(self, x):
        y = self.middle(x)
        y += 0.5
        return F.relu_(self.norm(y))


class Permuted(Images):
    """Channels last before the linear layer."""

    def build(self):
        self.middle = conv(16, 16)
        self.wide = nn.Linear(16 * 8 * 8, 16)

    def body(self, x):
        x = F.max_pool2d(F.relu(self.middle(x)), 2)
        return F.relu(self.wide(x.permute(0, 2, 3, 1).flatten(1))).unsqueeze(2)


class Depthwise(Images):
    def build(self):
        self.expand, self.depth, self.project = conv(16, 32, 1), conv(32, 32, groups=32), conv(32, 16, 1)

    def body(self, x):
        return x + self.project(F.relu6(self.depth(F.relu6(self.expand(x)))))


class Multiplied(Images):
    """A depthwise convolution with two outputs for each input."""

    def build(self):
        self.depth = conv(16, 32, groups=16)

    def features(self):
        return 32

    def body(self, x):
        return F.relu(self.depth(x))


class Grouped(Images):
    def build(self):
        self.expand, self.middle = conv(16, 32, 1), conv(32, 32, groups=4)

    def features(self):
        return 32

    def body(self, x):
        return F.relu(self.middle(F.relu(self.expand(x))))


class Transposed(Images):
    def build(self):
        self.down, self.up = nn.Conv2d(16, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)

    def body(self, x):
        return F.relu(self.up(F.relu(self.down(x))))


class GroupedTransposed(Transposed):
    def build(self):
        self.down, self.up = nn.Conv2d(16, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2, groups=4)


class Residual(Images):
    def build(self):
        self.one, self.two = conv(16, 24), conv(24, 16)

    def body(self, x):
        return F.relu(x + self.two(F.relu(self.one(x))))


class Concatenated(Images):
    """Pooled maps of two sizes side by side."""

    def build(self):
        self.one, self.two = conv(16, 16), conv(16, 24)

    def features(self):
        return 16 * 4 + 24

    def body(self, x):
        one = F.adaptive_avg_pool2d(F.relu(self.one(x)), 2).flatten(1)
        two = F.adaptive_max_pool2d(F.relu(self.two(x)), 1).flatten(1)
        return torch.cat((one, two), 1).unsqueeze(2)


class SqueezeExcite(Images):
    def build(self):
        self.middle, self.down, self.up = conv(16, 32), nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)

    def features(self):
        return 32

    def body(self, x):
        x = F.relu(self.middle(x))
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Shuffled(Images):
    """Halves, of which one passes a branch, and a shuffle of the two."""

    def build(self):
        self.branch, self.last = conv(8, 8), conv(16, 16, 1)

    def body(self, x):
        kept, other = x.chunk(2, 1)
        x = torch.cat((kept, F.relu(self.branch(other))), 1)
        x = x.view(len(x), 2, x.shape[1] // 2, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        return F.relu(self.last(x))


class Gated(Images):
    """Chunks that are multiplied with one another."""

    def build(self):
        self.pairs, self.last = conv(16, 32), conv(16, 16)

    def body(self, x):
        a, b = self.pairs(x).chunk(2, 1)
        return F.relu(self.last(a * torch.sigmoid(b)))


class PixelShuffled(Images):
    def build(self):
        self.up, self.last = conv(16, 32), conv(8, 16)

    def body(self, x):
        return F.relu(self.last(F.pixel_shuffle(self.up(x), 2)))


class Buffers(Images):
    """A number for each channel that is no parameter."""

    def build(self):
        self.middle, self.last = conv(16, 32), conv(32, 16)
        self.register_buffer("gain", torch.rand(32) + 0.5)

    def body(self, x):
        return F.relu(self.last(F.relu(self.middle(x)) * self.gain.view(1, -1, 1, 1)))


class PlainAttribute(Images):
    """A tensor that is neither parameter nor buffer."""

    def build(self):
        self.middle, self.offset = conv(16, 16), torch.tensor(0.25)

    def body(self, x):
        return F.relu(self.middle(x) + self.offset)


class Sigmoids(Images):
    """Activations whose value at zero is not zero."""

    def build(self):
        self.one, self.two = conv(16, 32), conv(32, 16)

    def body(self, x):
        return torch.sigmoid(self.two(torch.sigmoid(self.one(x))))


class DataDependent(Images):
    def build(self):
        self.middle = conv(16, 16)

    def body(self, x):
        y = F.relu(self.middle(x))
        return y * 2 if x.flatten(1).sum().item() > 1e9 else y


class FromSizes(Images):
    """Makes a tensor of the batch's size in its forward pass."""

    def build(self):
        self.middle, self.last = conv(16, 16), nn.Linear(16, 16)

    def body(self, x):
        state = torch.zeros(len(x), 16)
        for _ in range(2):
            state = state + torch.tanh(self.last(self.middle(x).mean((2, 3))))
        return state.unsqueeze(2)


class Standardised(Images):
    """A subclass of a layer whose weight is standardised when it is used."""

    class Conv(nn.Conv2d):
        def forward(self, x):
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias, padding=1)

    def build(self):
        self.middle, self.last = self.Conv(16, 16, 3), conv(16, 16)

    def body(self, x):
        return F.relu(self.last(F.relu(self.middle(x))))


class Tied(nn.Module):
    """Two linear layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.one, self.two = nn.Linear(4 * 16 * 16, 24), nn.Linear(24, 24), nn.Linear(24, 24)
        self.two.weight = self.one.weight
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x):
        x = F.relu(self.first(x.flatten(1)))
        return self.head(F.relu(self.two(F.relu(self.one(x)))))


class CalledTwice(Images):
    """One layer at two places."""

    def build(self):
        self.middle, self.last = conv(16, 16), conv(16, 24)

    def features(self):
        return 24

    def body(self, x):
        return F.relu(self.last(F.relu(self.middle(F.relu(self.middle(x))))))


class TwoParents(nn.Module):
    """One layer that two modules hold."""

    def __init__(self):
        super().__init__()
        shared = conv(16, 16)
        self.a, self.b = nn.Sequential(conv(4, 16), nn.ReLU(), shared), nn.Sequential(nn.ReLU(), shared, nn.ReLU())
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(self.b(self.a(x)).mean((2, 3)))


class LayerNorms(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(4 * 16, 32), nn.LayerNorm(32), nn.Linear(32, 24)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x):
        return self.head(F.gelu(self.second(self.norm(self.first(x.flatten(1, 2).transpose(1, 2))))).mean(1))


class TorchAttention(nn.Module):
    """torch's encoder layer on the rows of an image."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Linear(4 * 16, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x):
        return self.head(self.encoder(self.rows(x.transpose(1, 2).flatten(2))).mean(1))


class OwnAttention(nn.Module):
    """Attention written out, with a width of heads that follows from the projections."""

    def __init__(self):
        super().__init__()
        self.rows, self.heads = nn.Linear(4 * 16, 32), 4
        self.query, self.key, self.value = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.out, self.head = nn.Linear(32, 32), nn.Linear(32, CLASSES)

    def forward(self, x):
        x = self.rows(x.transpose(1, 2).flatten(2))
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-1, -2) * 8**-0.5).softmax(-1)
        return self.head((x + self.out((weights @ v).transpose(1, 2).flatten(2))).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.rnn = nn.Linear(4 * 16, 32), nn.LSTM(32, 24, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, CLASSES)

    def forward(self, x):
        return self.head(self.rnn(F.relu(self.rows(x.transpose(1, 2).flatten(2))))[0].mean(1))


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.cell = nn.Linear(4 * 16, 32), nn.GRUCell(32, 24)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x):
        state = x.new_zeros(len(x), 24)
        for row in F.relu(self.rows(x.transpose(1, 2).flatten(2))).unbind(1):
            state = self.cell(row, state)
        return self.head(state)


class Decoder(nn.Module):
    """A linear layer whose outputs become an image."""

    def __init__(self):
        super().__init__()
        self.code, self.wide = nn.Linear(4 * 16 * 16, 24), nn.Linear(24, 16 * 4 * 4)
        self.up, self.head = nn.ConvTranspose2d(16, 16, 2, 2), nn.Linear(16, CLASSES)

    def forward(self, x):
        x = F.relu(self.wide(F.relu(self.code(x.flatten(1))))).unflatten(1, (-1, 4, 4))
        return self.head(F.relu(self.up(x)).mean((2, 3)))


class ClassToken(nn.Module):
    """Parameters outside any layer: a token, positions and a gain for each channel."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Linear(4 * 16, 32)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32))
        self.gain, self.mix = nn.Parameter(torch.rand(32) + 0.5), nn.Linear(17, 17)
        self.second, self.head = nn.Linear(32, 24), nn.Linear(24, CLASSES)

    def forward(self, x):
        x = self.rows(x.transpose(1, 2).flatten(2))
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        x = self.mix((x * self.gain).transpose(1, 2)).transpose(1, 2)
        return self.head(F.relu(self.second(F.relu(x)))[:, 0])


KINDS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        Plain, BatchNorms, NormWithActivation, SharedNorm, InPlace, Permuted, Depthwise, Multiplied, Grouped,
        Transposed, GroupedTransposed,
        Residual, Concatenated, SqueezeExcite, Shuffled, Gated, PixelShuffled, Buffers,
        PlainAttribute, Sigmoids, DataDependent, FromSizes, Standardised, Tied, CalledTwice, TwoParents,
        LayerNorms, TorchAttention, OwnAttention, Recurrent, Cells, Decoder, ClassToken,
    )
}  # fmt: skip


def made(word: str, seed: int = 0) -> nn.Module:
    """A net of a kind, in eval mode, whose normalisations do something."""
    torch.manual_seed(seed)
    net = KINDS[word]()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return net.eval()
