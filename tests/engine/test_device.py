"""How many processes ``devices=`` means on a machine with GPUs and on one without."""

import pytest

from bmx.engine.device import processes
from bmx.errors import UsageError


@pytest.mark.parametrize(
    "gpus, device, devices, count",
    [
        (0, "auto", "auto", 1),
        (0, "cpu", 3, 3),
        (4, "auto", "auto", 4),
        (4, "cpu", "auto", 1),
        (4, "cuda", 2, 2),
        (4, "cuda:1", "auto", 1),
        (4, "cpu", 8, 8),
        (1, "auto", 1, 1),
    ],
)
def test_processes_of_a_run(monkeypatch, gpus, device, devices, count):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert processes(device, devices) == count


@pytest.mark.parametrize(
    "gpus, device, devices, what, fix",
    [
        (4, "cuda:1", 2, "cuda:1 is one device", "device=cuda, or devices=1"),
        (0, "mps", 2, "mps is one device", "devices=1"),
        (2, "auto", 3, "this machine has 2 CUDA devices", "devices=2 or device=cpu"),
    ],
)
def test_devices_that_are_not_there(monkeypatch, gpus, device, devices, what, fix):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    with pytest.raises(UsageError, match=what) as refused:
        processes(device, devices)
    assert fix in refused.value.fix and f"devices={devices}" in refused.value.where
