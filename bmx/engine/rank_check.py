"""What a run on several processes cannot do, found before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from bmx.distributed.ranks import Ranks
from bmx.engine.build import trial_of
from bmx.errors import UsageError
from bmx.tasks.optimizer_step import wants_closure


def check_ranks(
    cfg: DictConfig,
    ranks: Ranks,
    batch_size: int,
    auto: Sequence[str],
    make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
) -> None:
    """Makes sure that every rank would do the same steps.

    Raises:
        UsageError: they could not, with what to do instead.
    """
    if ranks.count == 1:
        return
    where = f"devices={cfg.devices}"
    if cfg.get("plan"):
        fix = "leave devices out: a rank takes the memory of its share of the batch, and each holds the whole model"
        raise UsageError(f"a plan measures one process, and this run has {ranks.count}", f"plan {where}", fix)
    if auto:
        named = " and ".join(f"{name}=auto" for name in auto)
        fix = f"find {'them' if len(auto) > 1 else 'it'} with devices=1, then give the value"
        raise UsageError(f"{named} is measured by one process, and this run has {ranks.count}", where, fix)
    if batch_size < ranks.count:
        what = f"a batch of {batch_size} has no {ranks.count} parts"
        raise UsageError(what, f"{where} batch_size={batch_size}", f"use batch_size={ranks.count} or more")
    if cfg.trainer.callbacks:
        what = "callbacks are told of the batches of one process"
        raise UsageError(what, f"{where} trainer.callbacks", "use devices=1, or leave trainer.callbacks out")
    if OmegaConf.select(cfg, "compression") is not None:
        what = f"compression is done by one process, and this run has {ranks.count}"
        fix = "train with devices first, then bmx compress run=latest"
        raise UsageError(what, f"{where} compression", fix)
    if wants_closure(trial_of(make_optimizer)):
        name = str(cfg.optim.get("_target_")).rpartition(".")[2]
        what = f"{name} compares the loss of one process within its step"
        raise UsageError(what, where, "use devices=1, or an optimiser without a closure, such as optim=sgd")
