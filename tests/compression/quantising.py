"""Small nets and contexts that the tests of quantisation share."""

import torch
import torch.nn.functional as F
from torch import nn

from bmx.compression.method import Context
from bmx.data.spec import DataSpec

SPEC = DataSpec("made", "image", (2, 8, 8), 3)


class Small(nn.Module):
    """Convolutions with and without normalisation, an addition, a linear layer on two and on three dimensions."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(8, 8, 1)
        self.tokens = nn.Linear(8, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        x = x + F.relu(self.conv2(x))
        x = F.relu(self.pool(self.conv3(x)))
        return self.head(F.gelu(self.tokens(x.flatten(2).transpose(1, 2))).mean(1))


def small(seed=0):
    torch.manual_seed(seed)
    net = Small()
    nn.init.uniform_(net.norm.running_mean, -0.2, 0.2)
    nn.init.uniform_(net.norm.running_var, 0.5, 2.0)
    nn.init.uniform_(net.norm.weight, 0.5, 1.5)
    return net.eval()


def inputs(samples=64, seed=1, shape=(2, 8, 8)):
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(seed))


def context(net, x=None, spec=SPEC):
    """Targets are the net's own answers, so that the score says how many of them stay."""
    x = inputs() if x is None else x
    with torch.no_grad():
        y = net(x).argmax(1)

    def calibration(n):
        for first in range(0, min(n, len(x)), 32):
            yield x[first : first + 32], y[first : first + 32]

    def score(other):
        with torch.no_grad():
            return 100 * (other(x).argmax(1) == y).double().mean().item()

    return Context(spec, x[:1], calibration, F.cross_entropy, score)
