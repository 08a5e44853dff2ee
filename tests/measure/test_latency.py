import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.measure.latency import CudaClock, Latency, clock_for, interleave, wall_clock


def test_quantiles() -> None:
    found = Latency.of([float(i) for i in range(101)][::-1])
    assert (found.p10, found.median, found.p99, found.mean, found.n) == (10, 50, 99, 50, 101)
    assert found.throughput(100) == 2


@given(st.lists(st.floats(1e-9, 1e6), min_size=1))
def test_quantiles_are_in_order(seconds: list[float]) -> None:
    found = Latency.of(seconds)
    tolerance = 1e-9 * max(seconds)
    assert min(seconds) <= found.p10 + tolerance
    assert found.p10 <= found.median + tolerance <= found.p99 + 2 * tolerance <= max(seconds) + 3 * tolerance


class Machine:
    """Calls that take the time they say, without taking it."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def call(self, name: str):
        return lambda: self.order.append(name)

    def clock(self, seconds: float):
        def read(call) -> float:
            call()
            return seconds

        return read


def test_calls_take_turns_and_each_gets_its_time() -> None:
    machine = Machine()
    calls = {name: machine.call(name) for name in "ab"}
    clocks = {"a": machine.clock(0.01), "b": machine.clock(0.02)}
    found = interleave(calls, seconds=1.0, clocks=clocks)
    assert (found["a"].n, found["b"].n) == (100, 50)
    assert (found["a"].median, found["b"].median) == (0.01, 0.02)
    # Neither is measured in one go: the machine's moods fall on both.
    changes = sum(one != other for one, other in zip(machine.order, machine.order[1:], strict=False))
    assert changes >= 5
    assert machine.order.count("a") > 100  # warm-up is not measured


def test_a_slow_call_is_measured_a_few_times_and_a_quick_one_not_for_ever() -> None:
    machine = Machine()
    calls = {name: machine.call(name) for name in ("slow", "quick")}
    clocks = {"slow": machine.clock(60.0), "quick": machine.clock(1e-9)}
    found = interleave(calls, seconds=1.0, clocks=clocks, least=3, most=1000)
    assert (found["slow"].n, found["quick"].n) == (3, 1000)
    assert machine.order.count("slow") == 4  # one to warm up


def test_the_clock_on_the_wall() -> None:
    took = wall_clock(lambda: math.factorial(20_000))
    assert took > 0
    assert clock_for(torch.device("cpu")) is wall_clock


def test_on_a_gpu_events_are_read_after_the_device_has_been_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            seen.append("record")

        def elapsed_time(self, other: object) -> float:
            seen.append("read")
            return 250.0

    class Entered:
        def __init__(self, device: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", Entered)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: seen.append("wait"))
    clock = clock_for(torch.device("cuda", 0))
    assert isinstance(clock, CudaClock)
    assert clock(lambda: seen.append("call")) == 0.25
    assert seen == ["wait", "record", "call", "record", "wait", "read"]
