"""The leanest loop one would write by hand, on tensors in memory: python lean_loop.py DATA.pt MODEL EPOCHS."""

import sys

import torch
import torch.nn.functional as F
from torch import nn


class LeNet5(nn.Module):
    """As in the papers: ReLU, then pooling."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def main():
    path, name, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    images, y = torch.load(path)
    x = images.float().div_(255)
    if name == "lenet5":
        x = F.pad(x, (2, 2, 2, 2))
    model = LeNet5() if name == "lenet5" else mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    for _ in range(epochs):
        for idx in torch.randperm(len(x)).split(100):
            optimizer.zero_grad()
            F.cross_entropy(model(x[idx]), y[idx]).backward()
            optimizer.step()
    with torch.no_grad():
        print("accuracy", (model(x[:10_000]).argmax(1) == y[:10_000]).float().mean().item())


if __name__ == "__main__":
    main()
