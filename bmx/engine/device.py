"""Resolves the device and floating-point precision of a run from its configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy

from bmx.config.suggestions import suggestion
from bmx.distributed.ranks import Ranks, current
from bmx.engine.allocator import keep_freed_memory
from bmx.errors import UsageError

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true")


@dataclass(frozen=True)
class Device:
    """A resolved device.

    Args:
        where: the device of the tensors.
        precision: a precision of Lightning's, such as ``bf16-mixed``.
        ranks: this process among those that train one model.
    """

    where: torch.device
    precision: str
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """The arguments of pl.Trainer that choose this device."""
        if self.ranks.count > 1:
            cpu = self.where.type == "cpu"
            strategy = DDPStrategy(process_group_backend="gloo" if cpu else "nccl")
            accelerator, count = "cpu" if cpu else "gpu", self.ranks.count
            return {
                "accelerator": accelerator,
                "devices": count,
                "strategy": strategy,
                "precision": self.precision,
            }
        if self.where.type == "cpu":
            return {"accelerator": "cpu", "devices": 1, "precision": self.precision}
        accelerator = {"cuda": "gpu"}.get(self.where.type, self.where.type)
        return {"accelerator": accelerator, "devices": [self.where.index or 0], "precision": self.precision}

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return {"bf16-true": torch.bfloat16, "64-true": torch.float64}.get(self.precision, torch.float32)

    def autocast(self) -> torch.autocast:
        """The autocast context of a forward pass; disabled in a ``-true`` precision."""
        dtype = torch.float16 if self.precision == "16-mixed" else torch.bfloat16
        return torch.autocast(self.where.type, dtype=dtype, enabled=self.precision.endswith("-mixed"))

    def scaler(self) -> torch.amp.GradScaler | None:
        """A gradient scaler, which 16-bit floats need; for steps outside of Lightning."""
        return torch.amp.GradScaler(self.where.type) if self.precision == "16-mixed" else None


def processes(device: str, devices: int | str) -> int:
    """How many processes ``devices=`` means on this machine: for ``auto`` one a GPU, and on the CPU one.

    Raises:
        UsageError: there are fewer GPUs, or a single device is named.
    """
    gpus = torch.cuda.device_count() if device == "auto" or device.startswith("cuda") else 0
    if devices == "auto":
        return max(1, gpus) if ":" not in device else 1
    count, where = int(devices), f"devices={devices} device={device}"
    if count > 1 and ":" in device:
        raise UsageError(f"{device} is one device", where, f"use device={device.partition(':')[0]}, or devices=1")
    if count > 1 and device == "mps":
        raise UsageError("mps is one device", where, "use devices=1")
    if gpus and count > gpus:
        raise UsageError(f"this machine has {gpus} CUDA devices", where, f"use devices={gpus} or device=cpu")
    return count


def resolve(device: str, precision: str, devices: int | str = 1) -> Device:
    """Resolves ``device=``, ``devices=`` and ``precision=`` on this machine.

    Raises:
        UsageError: the device is missing, or does not support the precision.
    """
    where = f"device={device}"
    if device == "auto":
        if torch.cuda.is_available():
            resolved = torch.device("cuda", 0)
        elif torch.backends.mps.is_available():
            resolved = torch.device("mps", 0)
        else:
            resolved = torch.device("cpu")
    else:
        kind, _, index = device.partition(":")
        assert kind in ("cpu", "cuda", "mps") and (not index or index.isdigit()), "the declaration of device says so"
        there: dict[str, Callable[[], bool]] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
        if kind in there and not there[kind]():
            raise UsageError(f"there is no {kind} device on this machine", where, "use device=cpu or device=auto")
        if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise UsageError(f"this machine has {count} CUDA devices", where, f"use cuda:0 to cuda:{count - 1}")
        resolved = torch.device(kind, int(index or 0)) if kind != "cpu" else torch.device("cpu")
    if precision not in PRECISIONS:
        raise UsageError(f"no precision '{precision}'", f"precision={precision}", suggestion(precision, PRECISIONS))
    if precision == "16-mixed" and resolved.type == "cpu":
        fix = "use precision=bf16-mixed, which the CPU can do, or a GPU"
        raise UsageError("16-mixed needs a GPU: the CPU has no fast fp16", f"precision={precision}", fix)
    ranks = Ranks(current().rank, processes(device, devices))
    if ranks.count > 1 and resolved.type == "cuda":
        resolved = torch.device("cuda", ranks.rank)
    return Device(resolved, precision, ranks)


def use_cpu(threads: int | None, ranks: int = 1) -> int:
    """Sets torch's number of CPU threads per operation, unless None, and returns it.

    Args:
        threads: of an operation; null leaves it to torch, and shares out the cores among the ranks.
        ranks: processes of the run on this machine.
    """
    keep_freed_memory()
    if threads is None and ranks > 1 and current().count == 1:  # ranks that rank 0 starts are told their share
        threads = max(1, torch.get_num_threads() // ranks)
    if threads is not None:
        if threads < 1:
            fix = "use a run that bmx has made"  # from a run's configuration; typed values have been checked
            raise UsageError(f"trainer.threads must be at least 1, got {threads}", f"trainer.threads={threads}", fix)
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > 16:
        # With more threads small models only lose time to synchronisation.
        torch.set_num_threads(16)
    return torch.get_num_threads()


def device_name(device: torch.device) -> str:
    """Name of a device for reports, with the model of a GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
