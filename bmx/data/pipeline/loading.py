"""Batch loading onto the device: from tensors in memory, or by worker processes.

Both yield the same batches in the same order. Data that fits is held as one tensor on the training device and a batch
is an index; data that does not is read by a DataLoader with workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from bmx.data.arrays import Arrays
from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.pipeline.rows import FileRows

Batch = tuple[Tensor, Tensor]


class Reader(Protocol):
    """Yields the batches of an epoch as (inputs, targets) on the device, from batch ``start`` on."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]: ...


class MemoryReader:
    """Yields batches as index slices of tensors that reside on the device.

    Args:
        arrays: the samples; moved to ``device`` once.
        order: the indices of each batch.
        device: device of the batches.
    """

    def __init__(self, arrays: Arrays, order: BatchOrder, device: torch.device) -> None:
        inputs = arrays.in_memory().inputs
        assert isinstance(inputs, Tensor)
        self.inputs = inputs.to(device)
        self.targets = arrays.targets.to(device)
        self.order = order

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        inputs, targets = self.inputs, self.targets
        if not self.order.shuffle or len(self.order) == 1:
            # Complete or consecutive batches need no gathering.
            yield from self._slices(start)
            return
        for indices in self.order.batches(epoch, start):
            indices = indices.to(inputs.device, non_blocking=True)
            yield inputs.index_select(0, indices), targets.index_select(0, indices)

    def _slices(self, start: int) -> Iterator[Batch]:
        for batch in range(start, len(self.order)):
            first, end = self.order.bounds(batch)
            yield self.inputs[first:end], self.targets[first:end]


class _Indexed(Dataset[Batch]):
    """Map-style data set whose items are whole batches, indexed by a tensor of indices."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __getitem__(self, indices: Tensor) -> Batch:
        return self.arrays.batch(indices)


class _EpochSampler(Sampler[Tensor]):
    """Yields the index batches from the current position to the DataLoader's workers."""

    def __init__(self, order: BatchOrder) -> None:
        self.order = order
        self.position = Position()

    def __iter__(self) -> Iterator[Tensor]:
        return self.order.batches(self.position.epoch, self.position.step)

    def __len__(self) -> int:
        return len(self.order) - self.position.step


class WorkerReader:
    """Yields the same batches as :class:`MemoryReader`, prefetched by worker processes.

    Args:
        arrays: the samples, which may be on disk and larger than memory.
        order: the indices of each batch.
        device: device of the batches; memory is pinned for CUDA.
        workers: number of worker processes, which persist between epochs.
    """

    def __init__(self, arrays: Arrays, order: BatchOrder, device: torch.device, workers: int = 2) -> None:
        self.device = device
        self.sampler = _EpochSampler(order)
        self.loader: DataLoader[Batch] = DataLoader(
            _Indexed(arrays),
            batch_size=None,
            sampler=self.sampler,
            num_workers=workers,
            multiprocessing_context=_context() if workers else None,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            # The workers draw no random numbers, and the loader must not advance the random state of training.
            generator=torch.Generator().manual_seed(0),
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        self.sampler.position = Position(epoch, start)
        for inputs, targets in self.loader:
            yield inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)


def _context() -> str | None:
    """Start method of workers: fork on Linux, whatever the default is.

    A worker exits when its parent is gone. With a fork server, the default from Python 3.14 on, the parent is the
    server, which in turn waits for its workers: both would outlive a killed run for ever.
    """
    return "fork" if sys.platform == "linux" else None


def reader_for(arrays: Arrays, order: BatchOrder, device: torch.device, workers: int = 2) -> Reader:
    """The reader for samples in memory, or by ``workers`` processes for samples on disk."""
    if arrays.on_disk:
        return WorkerReader(arrays, order, device, workers)
    return MemoryReader(arrays, order, device)


def available_memory() -> int:
    """Available memory in bytes, without swapping; 8 GiB where the system does not report it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123  (a pseudo file, read once)
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 8 << 30


def fits_in_memory(arrays: Arrays) -> bool:
    """Whether samples on disk may be loaded as one tensor: they take at most half of the available memory."""
    return not isinstance(arrays.inputs, FileRows) or arrays.inputs.nbytes <= available_memory() // 2
