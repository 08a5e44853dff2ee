"""Latency of calls, measured in interleaved rounds so that noise of the machine falls on all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)
Call = Callable[[], object]


@dataclass(frozen=True)
class Latency:
    """Latency of one call in seconds.

    Attributes:
        p10, median, p99: quantiles; p10 is nearly undisturbed, p99 is the tail latency.
        mean: of all calls.
        n: calls that were measured.
    """

    p10: float
    median: float
    p99: float
    mean: float
    n: int

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        """Quantiles of measurements, linearly interpolated."""
        ranked = sorted(seconds)
        p10, median, p99 = (_quantile(ranked, q) for q in (0.1, 0.5, 0.99))
        return cls(p10, median, p99, math.fsum(ranked) / len(ranked), len(ranked))

    def throughput(self, batch_size: int) -> float:
        """Samples per second at the median."""
        return batch_size / self.median if self.median > 0 else math.inf

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Clock(Protocol):
    """Measures the duration of one call, in seconds."""

    def __call__(self, call: Call) -> float: ...


def wall_clock(call: Call) -> float:
    """Wall-clock time; valid for synchronous calls, as on the CPU."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class CudaClock:
    """Time between two CUDA events; valid for asynchronous calls, which return before the GPU has finished.

    Written as torch documents it (https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution); the
    machine this was written on has no GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, call: Call) -> float:
        with torch.cuda.device(self.device):
            began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize(self.device)
            began.record()
            call()
            ended.record()
            torch.cuda.synchronize(self.device)
            return began.elapsed_time(ended) / 1000


def clock_for(device: torch.device) -> Clock:
    """The clock that is valid for work on a device."""
    return CudaClock(device) if device.type == "cuda" else wall_clock


def interleave(
    calls: Mapping[Key, Call],
    seconds: float = 1.0,
    clocks: Mapping[Key, Clock] | None = None,
    least: int = 5,
    most: int = 10_000,
) -> dict[Key, Latency]:
    """Measures the latency of each call for about ``seconds``, in interleaved rounds.

    Each call is warmed up first: three times or until a tenth of its time is spent, at least once. A round measures
    every call for about a tenth of its time, and the next round begins with another one, so that other load on the
    machine falls on all of them alike.

    Args:
        calls: what to measure, by any key.
        seconds: spent on each call, all rounds together.
        clocks: how to measure a call; :func:`wall_clock` for keys that it lacks.
        least: measurements of each call at least, however long it takes.
        most: measurements of each call at most.
    """
    clocks = clocks or {}
    expected = {key: _warm_up(call, clocks.get(key, wall_clock), seconds / 10) for key, call in calls.items()}
    measured: dict[Key, list[float]] = {key: [] for key in calls}
    wanted = {key: min(most, max(least, round(seconds / max(once, 1e-9)))) for key, once in expected.items()}
    rounds = min(10, least)
    keys = list(calls)
    for turn in range(rounds):
        for key in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            clock, call, times = clocks.get(key, wall_clock), calls[key], measured[key]
            goal = math.ceil(wanted[key] * (turn + 1) / rounds)
            if goal - len(times) > 5:
                call()  # brings the call's own data back into the cache, which the others have used since
            while len(times) < goal:
                times.append(clock(call))
    return {key: Latency.of(times) for key, times in measured.items()}


def _warm_up(call: Call, clock: Clock, seconds: float) -> float:
    """Calls until caches and allocators are warm; returns the shortest time, from which the rounds are planned."""
    shortest, spent = math.inf, 0.0
    for _ in range(3):
        took = clock(call)
        shortest, spent = min(shortest, took), spent + took
        if spent > seconds:
            break
    return shortest


def _quantile(ranked: list[float], q: float) -> float:
    at = q * (len(ranked) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (at - low) * (ranked[high] - ranked[low])
