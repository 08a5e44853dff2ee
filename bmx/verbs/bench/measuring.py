"""Measures the latency and memory of each model on every engine, at every batch size, interleaved."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bmx.config.engine_words import calibrated
from bmx.data.arrays import Arrays
from bmx.data.pipeline.loading import available_memory
from bmx.data.pipeline.random_inputs import random_inputs
from bmx.engine.device import Device
from bmx.engine.evaluation import evaluate
from bmx.engine.predictor import Predictor
from bmx.errors import RunFailed
from bmx.export import engines
from bmx.export.engines import LoadedEngine
from bmx.export.reading import dtype_of
from bmx.measure.latency import Call, Clock, Latency, clock_for, interleave
from bmx.measure.layer_times import time_layers
from bmx.measure.layers import layers_of
from bmx.measure.memory import Memory, measure_memory, predict_memory
from bmx.verbs.bench.models import Subject

# Samples of the training set that calibrate integer engines.
CALIBRATION = 512
# A measurement of the memory may take this many seconds; the prediction does not need it.
_PATIENCE = 5.0


# Model, engine, batch size.
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Candidate:
    """One model on one engine."""

    subject: Subject
    engine: LoadedEngine


@dataclass(frozen=True)
class Ruler:
    """Measurement settings.

    Attributes:
        engines: the engines to compare.
        batch_sizes: samples computed at once.
        seconds: measuring time of each engine at each batch size.
        where: the device of the torch engines.
        check_memory: also measure the memory of a real training step.
        accuracy: measure each engine's accuracy on the test set, where there are data.
        layers: measure each layer's share of the time.
    """

    engines: list[str]
    batch_sizes: list[int]
    seconds: float
    where: torch.device
    check_memory: bool = True
    accuracy: bool = True
    layers: bool = False


def measure(models: list[Subject], ruler: Ruler) -> list[dict[str, Any]]:
    """Measures each model; an entry each, in plain containers: cost, memory, layers, engines with their latencies."""
    with tempfile.TemporaryDirectory(prefix="bmx-bench-") as scratch:
        candidates: list[Candidate] = []
        failures: dict[str, list[dict[str, str]]] = {model.name: [] for model in models}
        for number, model in enumerate(models):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            for made in _candidates(model, ruler, folder):
                if isinstance(made, Candidate):
                    candidates.append(made)
                else:
                    failures[model.name].append(made)
        times = _times(candidates, ruler, failures)
        return [
            {
                "name": model.name,
                "run": model.run,
                "data": model.spec.name,
                "input_shape": list(model.spec.input_shape),
                "cost": {**model.cost.to_dict(), "frozen_parameters": model.cost.frozen_parameters},
                "note": model.note,
                "memory": [memory.to_dict() for memory in _memory(model, ruler, times)],
                "layers": _layers(model, ruler) if ruler.layers else [],
                "engines": [_engine(c, ruler.accuracy) for c in candidates if c.subject is model],
                "failures": failures[model.name],
                "timings": [
                    {
                        "engine": engine,
                        "batch_size": size,
                        **latency.to_dict(),
                        "throughput": latency.throughput(size),
                    }
                    for (subject, engine, size), latency in times.items()
                    if subject == model.name
                ],
            }
            for model in models
        ]


def _candidates(model: Subject, ruler: Ruler, folder: Path) -> Iterator[Candidate | dict[str, str]]:
    """The model on each engine that can run it; for the others their error message."""
    if model.net is None:
        yield Candidate(model, _as_file(model))
        return
    example = random_inputs(model.spec, 2, dtype_of(model.net))
    for word in ruler.engines:
        try:
            calibration = _calibration(model) if word in calibrated() else []
            yield Candidate(model, engines.make(word, model.net, example, ruler.where, folder, calibration))
        except RunFailed as error:
            yield {"engine": word, "reason": error.what}


def _as_file(model: Subject) -> LoadedEngine:
    """The engine of an exported graph, which is the graph itself; it takes raw samples."""
    file = model.loaded.file

    def run(raw: Tensor) -> Tensor:
        with torch.inference_mode():
            out: Tensor = model.loaded.model(raw)
            return out

    return LoadedEngine(model.loaded.format, run, file.stat().st_size, 0.0, torch.device("cpu"))


def _calibration(model: Subject) -> list[Tensor]:
    """Calibration batches: preprocessed training samples; noise where there are no data."""
    predictor = model.loaded.model
    assert isinstance(predictor, Predictor)
    if model.data is None:
        return list(random_inputs(model.spec, CALIBRATION, dtype_of(predictor.net)).split(64))
    train = model.data.train
    # Evenly through the set, which may be sorted by class.
    some = torch.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).long()
    with torch.inference_mode():
        return list(predictor.input_stage(train.batch(some)[0]).split(64))


def _times(candidates: list[Candidate], ruler: Ruler, failures: dict[str, list[dict[str, str]]]) -> dict[Key, Latency]:
    """Latency of every candidate at every batch size; candidates of one size are interleaved."""
    found: dict[Key, Latency] = {}
    on_cpu = {c.subject.name: c.subject for c in candidates if c.engine.device.type == "cpu"}
    needs = {name: _output_bytes(subject) for name, subject in on_cpu.items()}
    for size in ruler.batch_sizes:
        calls: dict[Key, Call] = {}
        clocks: dict[Key, Clock] = {}
        for c in candidates:
            if c.engine.device.type == "cpu" and not _fits(*needs[c.subject.name], size):
                reason = f"a batch of {size:,} does not fit into the memory that is free"
                failures[c.subject.name].append({"engine": c.engine.name, "reason": reason})
                continue
            inputs = _inputs(c, size)
            key = (c.subject.name, c.engine.name, size)
            calls[key] = partial(c.engine.run, inputs)
            clocks[key] = clock_for(c.engine.device)
        if calls:
            found |= interleave(calls, ruler.seconds, clocks)
    return found


def _fits(fixed: int, each: int, size: int) -> bool:
    """Whether a batch can be computed without driving the machine into its swap."""
    return not each or fixed + size * each < available_memory()


def _output_bytes(subject: Subject) -> tuple[int, int]:
    """Bytes that all modules of a net return: independent of the batch (such as unpacked weights), and per sample.

    For a file without modules nothing is known: (0, 0).
    """
    net, spec = subject.net, subject.spec
    if net is None:
        return 0, 0
    one, two = (sum(layer.bytes for layer in layers_of(net, random_inputs(spec, n, dtype_of(net)))) for n in (1, 2))
    return 2 * one - two, two - one


def _inputs(candidate: Candidate, size: int) -> Tensor:
    subject = candidate.subject
    if subject.net is not None:
        return random_inputs(subject.spec, size, dtype_of(subject.net)).to(candidate.engine.device)
    inputs = random_inputs(subject.spec, size)
    # As stored; a file whose preprocessing is not in the graph gets them too, and its reader normalises them.
    return inputs if subject.loaded.description is None else subject.spec.form.as_stored(inputs)


def _memory(model: Subject, ruler: Ruler, times: dict[Key, Latency]) -> Iterator[Memory]:
    net = model.net
    if net is None:
        return
    for size in ruler.batch_sizes:
        inputs = random_inputs(model.spec, size, dtype_of(net))
        try:
            memory = predict_memory(net, inputs)
        except NotImplementedError:  # this model cannot be traced by shapes alone
            return
        eager = times.get((model.name, "eager", size))
        # Forward, then forward and backward, which takes twice as long as forward.
        quick = eager is None or 4 * eager.mean < max(_PATIENCE, ruler.seconds)
        if ruler.check_memory and quick and (memory.training or memory.forward) < available_memory() // 2:
            memory = measure_memory(net, inputs.to(ruler.where), memory)
        yield memory


def _layers(model: Subject, ruler: Ruler) -> list[dict[str, Any]]:
    """The layers, each with its share of the time of an eager forward pass."""
    net = model.net
    if net is None:
        return []
    found = layers_of(net, random_inputs(model.spec, 1, dtype_of(net)))
    _, each = _output_bytes(model)
    size = min(max(ruler.batch_sizes), max(1, available_memory() // 4 // max(1, each)))
    inputs = random_inputs(model.spec, size, dtype_of(net)).to(ruler.where)
    times = time_layers(net.to(ruler.where), inputs, ruler.seconds)
    net.cpu()
    total = math.fsum(times.values())
    return [
        {**layer.to_dict(), "seconds": times.get(layer.name), "share": times.get(layer.name, 0.0) / total}
        for layer in found
    ]


def _engine(candidate: Candidate, want_accuracy: bool) -> dict[str, Any]:
    engine, subject = candidate.engine, candidate.subject
    found = {"engine": engine.name, "bytes": engine.bytes, "seconds_to_make": engine.seconds}
    # torch.compile computes the same accuracy, and would compile once more for the batches of the test set.
    if want_accuracy and subject.data is not None and engine.name != "compile":
        known = dict(subject.metrics) if engine.name == "eager" and engine.device.type == "cpu" else {}
        found |= {"metrics": known or _metrics(candidate, subject.data.test)}
    return found


def _metrics(candidate: Candidate, test: Arrays) -> dict[str, float]:
    engine, model = candidate.engine, candidate.subject.loaded.model
    stages = (model.input_stage, model.output_stage) if isinstance(model, Predictor) else (torch.nn.Identity(),) * 2

    def predict(raw: Tensor) -> Tensor:
        before, after = stages
        out: Tensor = after(engine.run(before(raw).to(engine.device)).cpu())
        return out

    cpu = Device(torch.device("cpu"), "32-true")
    return dict(evaluate(predict, test, candidate.subject.spec, cpu).metrics)
