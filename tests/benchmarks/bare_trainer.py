"""The same work as most Lightning users write it: python bare_trainer.py DATA.pt MODEL EPOCHS [--bare].

With ``--bare`` nothing is on: no bar, no checkpoint, no logger, no metric.
"""

import sys
import tempfile

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from tests.benchmarks.lean_loop import LeNet5, mlp


class Classifier(pl.LightningModule):
    def __init__(self, net, bare):
        super().__init__()
        self.net, self.bare = net, bare
        self.accuracy = MulticlassAccuracy(10, average="micro")

    def training_step(self, batch, _):
        x, y = batch
        logits = self.net(x)
        loss = F.cross_entropy(logits, y)
        if not self.bare:
            self.accuracy(logits, y)
            self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
            self.log("train/acc", self.accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


def main():
    path, name, epochs, bare = sys.argv[1], sys.argv[2], int(sys.argv[3]), "--bare" in sys.argv
    pl.seed_everything(0)
    images, y = torch.load(path)
    x = images.float().div_(255)
    if name == "lenet5":
        x = F.pad(x, (2, 2, 2, 2))
    with tempfile.TemporaryDirectory() as folder:
        on = {} if bare else {"logger": pl.loggers.CSVLogger(folder)}
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            default_root_dir=folder,
            barebones=bare,
            enable_model_summary=False,
            **on,
        )
        loader = DataLoader(TensorDataset(x, y), 100, shuffle=True)
        trainer.fit(Classifier(LeNet5() if name == "lenet5" else mlp(), bare), loader)


if __name__ == "__main__":
    main()
