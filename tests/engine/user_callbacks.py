"""Callbacks as a user would write them, for tests of what Lightning documents of them."""

from __future__ import annotations

import random
import sys
from typing import ClassVar

import torch
from pytorch_lightning.callbacks import BaseFinetuning, Callback

HOOKS = [
    name
    for name in vars(Callback)
    if (name.startswith("on_") or name in ("setup", "teardown")) and name not in ("on_save_checkpoint",)
]
HEARD: list[tuple] = []


class Everything(Callback):
    """Writes down every hook that it is called with: its name, where training stands, and what it is given."""


def _hook(name):
    def hook(self, trainer, pl_module, *args, **kwargs):
        HEARD.append((name, trainer.current_epoch, trainer.global_step, args, kwargs, dict(trainer.callback_metrics)))

    hook.__name__ = name
    return hook


for _name in HOOKS:
    if not _name.startswith(("on_test", "on_predict", "on_sanity")):
        setattr(Everything, _name, _hook(_name))


class Tests(Callback):
    def on_test_epoch_end(self, trainer, pl_module): ...


class Predicts(Callback):
    def on_predict_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0): ...


class SanityChecks(Callback):
    def on_sanity_check_start(self, trainer, pl_module): ...


class Stops(Callback):
    """Ends the run in a hook, as Lightning documents: by ``trainer.should_stop``."""

    def __init__(self, hook="on_train_epoch_end", epoch=1, step=None):
        self.hook, self.epoch, self.step = hook, epoch, step

    def on_train_start(self, trainer, pl_module):
        if self.hook == "on_train_start":
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer, pl_module):
        if self.hook == "on_train_epoch_end" and trainer.current_epoch == self.epoch:
            trainer.should_stop = True

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.hook == "on_train_batch_end" and trainer.global_step == self.step:
            trainer.should_stop = True


class Exits(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        sys.exit(3)


class Breaks(Callback):
    def on_validation_end(self, trainer, pl_module):
        _helper({})


def _helper(found):
    return found["missing"]


def break_here(trainer, pl_module):
    raise ValueError("as asked")


class OwnAverage(Callback):
    """The usual home-made exponential average: swapped in for the validation, out again after it."""

    def on_fit_start(self, trainer, pl_module):
        self.average = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for name, value in pl_module.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 0.01)

    def on_validation_start(self, trainer, pl_module):
        self.trained = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}
        pl_module.load_state_dict(self.average)

    def on_validation_end(self, trainer, pl_module):
        pl_module.load_state_dict(self.trained)


class Draws(Callback):
    """Draws random numbers in every hook, and keeps count of the batches of the epoch in its state."""

    def __init__(self):
        self.seen, self.total = 0, 0.0

    def _draw(self):
        self.total += random.random() + float(torch.rand(()))

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen = 0
        self._draw()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._draw()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen += 1
        assert self.seen == batch_idx + 1
        self._draw()

    def on_validation_end(self, trainer, pl_module):
        self._draw()

    def on_train_epoch_end(self, trainer, pl_module):
        self._draw()
        self.log("mine/total", self.total)

    def state_dict(self):
        return {"seen": self.seen, "total": self.total}

    def load_state_dict(self, state_dict):
        self.seen, self.total = state_dict["seen"], state_dict["total"]


class Unkeepable(Callback):
    def state_dict(self):
        return {"what": {"inner": object()}}


class LaterUnkeepable(Callback):
    """Its state turns bad once training has begun."""

    bad = False

    def on_train_start(self, trainer, pl_module):
        self.bad = True

    def state_dict(self):
        return {"what": object()} if self.bad else {}


class SetsRate(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = 0.1 / (1 + trainer.current_epoch)


class AddsGroup(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        trainer.optimizers[0].add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.1})


class NeedsTwo(Callback):
    def __init__(self, a, b):
        raise ValueError("a and b do not go together")


def batch_size_of(batch):
    return len(batch[1])


class LogsOwn(Callback):
    """A metric of its own, which EarlyStopping may follow."""

    def on_validation_epoch_end(self, trainer, pl_module):
        self.log("mine", float(trainer.current_epoch))


class OwnFinetuning(BaseFinetuning):
    def freeze_before_training(self, pl_module): ...

    def finetune_function(self, pl_module, epoch, optimizer): ...


class Records(Callback):
    """Keeps the trained weights of every step."""

    weights: ClassVar[list[dict]] = []

    def on_train_start(self, trainer, pl_module):
        Records.weights = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        Records.weights.append({k: v.detach().clone() for k, v in pl_module.state_dict().items()})


class Length(Callback):
    """What a callback may ask of the Trainer."""

    seen: ClassVar[dict] = {}

    def on_fit_start(self, trainer, pl_module):
        Length.seen = {
            name: getattr(trainer, name)
            for name in ("estimated_stepping_batches", "num_training_batches", "max_epochs")
        }

    def on_train_epoch_end(self, trainer, pl_module):
        Length.seen["val"] = sum(len(pl_module(inputs)) for inputs, _ in trainer.val_dataloaders)


class Interrupts(Callback):
    """Stops a run as Ctrl-C would, at a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            raise KeyboardInterrupt
