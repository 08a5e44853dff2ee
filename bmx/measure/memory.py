"""Activation memory of inference and training, predicted from shapes and measured by the allocator."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bmx.measure.meta_copy import no_fast_path, shadow

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Memory:
    """Memory of one batch in bytes, besides the batch itself.

    Attributes:
        batch_size: samples in the batch.
        weights: parameters and buffers.
        forward: peak of a forward pass, besides the weights.
        saved: tensors that a forward pass saves for the backward pass.
        training: peak of forward and backward pass, gradients included, weights not; None where the model cannot be
            trained on such a batch, as batch normalisation on one sample.
        forward_measured, training_measured: the same two peaks, of the allocator; None where not measured.
    """

    batch_size: int
    weights: int
    forward: int
    saved: int | None
    training: int | None
    forward_measured: int | None = None
    training_measured: int | None = None

    def to_dict(self) -> dict[str, int | None]:
        return asdict(self)


def predict_memory(
    model: nn.Module, inputs: Tensor, loss: Loss | None = None, autocast: Callable[[], Any] | None = None
) -> Memory:
    """Predicts the memory of a batch by adding up the allocations of a run on fake tensors, without allocating any.

    Exact for the outputs of operations and what autograd saves. Workspace inside an operation (oneDNN's reordered
    copies and recurrent layers, cuDNN's algorithms) is not included.

    Args:
        model: not modified.
        inputs: a batch as the model takes it; its values do not matter.
        loss: from outputs to a scalar; the mean square where None.
        autocast: makes the context that the forward pass of a training step runs in.

    Raises:
        NotImplementedError: the control flow of the model depends on values, which fake tensors do not have.
    """
    weights = sum(t.untyped_storage().nbytes() for t in _storages(model))
    forward, _ = _predict(model, inputs, None, None)
    try:
        training, saved = _predict(model, inputs, loss or _mean_square, autocast)
    except ValueError:
        return Memory(len(inputs), weights, forward, None, None)
    return Memory(len(inputs), weights, forward, saved, training)


def _predict(model: nn.Module, inputs: Tensor, loss: Loss | None, autocast: Any) -> tuple[int, int]:
    """Peak bytes, and bytes alive between the two passes; of a training step where there is a loss."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    training = loss is not None
    # torch gives no types for it.
    fakes: Any = cast(Any, FakeTensorMode)()
    stand_in = shadow(model, fakes.from_tensor).train(training)
    batch = fakes.from_tensor(inputs)
    ledger = _Ledger([*stand_in.parameters(), *stand_in.buffers(), batch])
    try:
        with no_fast_path(), fakes, ledger, torch.set_grad_enabled(training):
            with autocast() if autocast is not None else nullcontext():
                outputs = stand_in(batch)
                kept = ledger.live
                value = loss(outputs) if loss is not None else None
            if value is not None:
                value.backward()
    except ValueError:
        raise  # of the loss: such a training step is impossible
    except Exception as error:  # what fails on fake tensors may well run
        raise NotImplementedError("what the model does depends on the numbers it is given") from error
    return ledger.peak, kept


def measure_memory(model: nn.Module, inputs: Tensor, predicted: Memory, loss: Loss | None = None) -> Memory:
    """Runs a forward pass and a training step, and adds the peaks of the allocator to the prediction.

    On the CPU these are the allocations of torch itself, not the libraries' own; on CUDA those of its caching
    allocator.

    Args:
        model: a copy of it is run, on the device of ``inputs``.
        inputs: a batch as the model takes it.
        predicted: the prediction to complete.
        loss: from outputs to a scalar; the mean square where None.
    """
    trial = copy.deepcopy(model).to(inputs.device)
    with _allocations(inputs.device) as forward, torch.no_grad():
        trial.eval()(inputs)
    if predicted.training is None:
        return replace(predicted, forward_measured=forward.peak)
    with _allocations(inputs.device) as training:
        outputs = trial.train()(inputs)
        (loss or _mean_square)(outputs).backward()
    return replace(predicted, forward_measured=forward.peak, training_measured=training.peak)


def _mean_square(outputs: Tensor) -> Tensor:
    return outputs.float().square().mean()


def _storages(model: nn.Module) -> list[Tensor]:
    by_storage = {t.untyped_storage()._cdata: t for t in [*model.parameters(), *model.buffers()]}
    return list(by_storage.values())


class _Ledger(TorchDispatchMode):
    """Dispatch mode that adds up the live storages allocated while it is on."""

    def __init__(self, before: list[Tensor]) -> None:
        cast(Any, super()).__init__()  # torch gives no types for it
        self.live = 0
        self.peak = 0
        # References are held, so that no later storage can reuse the address of one of them.
        self._before = [t.untyped_storage() for t in before]
        self._known: dict[int, Any] = {id(storage): None for storage in self._before}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(returned):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return returned

    def _see(self, storage: Any) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            self.live -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


class _Seen:
    """Peak of the bytes allocated while a block runs; set when the block has ended."""

    peak = 0


@contextmanager
def _allocations(device: torch.device) -> Iterator[_Seen]:
    seen = _Seen()
    if device.type == "cuda":  # as torch documents it; not run on the machine this was written on
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield seen
        torch.cuda.synchronize(device)
        seen.peak = torch.cuda.max_memory_allocated(device) - before
        return
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        yield seen
    live = 0
    kineto = recorded.profiler
    assert kineto is not None and kineto.kineto_results is not None
    for event in kineto.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            seen.peak = max(seen.peak, live)
