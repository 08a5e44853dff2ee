"""Lightning callbacks as a user would write them."""

from pytorch_lightning.callbacks import Callback


class Counting(Callback):
    """Counts the batches Lightning tells it of."""

    steps = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        Counting.steps += 1
