"""Samples on disk give what the same samples in memory give."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.arrays import Arrays, Source
from bmx.data.mnist import mnist
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.fingerprint import fingerprint
from bmx.data.pipeline.input_stage import statistics
from bmx.data.pipeline.loading import MemoryReader, WorkerReader
from bmx.data.pipeline.prepare import prepare
from bmx.data.pipeline.rows import FileRows
from bmx.data.pipeline.spooling import keep_on_disk
from bmx.data.synthetic import synthetic
from tests.data.idx_files import write_set

CPU = torch.device("cpu")


@pytest.fixture
def source(monkeypatch, tmp_path):
    monkeypatch.setenv("BMX_CACHE", str(tmp_path))
    return synthetic(samples=300, test_samples=20, shape=(2, 5, 4), classes=3)


@given(st.lists(st.integers(0, 49), max_size=60), st.sampled_from([torch.uint8, torch.int16, torch.float32]))
def test_any_rows_are_read_as_they_were_written(tmp_path_factory, wanted, dtype):
    array = torch.arange(50 * 6).reshape(50, 2, 3).to(dtype)
    path = tmp_path_factory.mktemp("rows") / "x.bin"
    path.write_bytes(b"head" + array.numpy().tobytes())
    rows = FileRows.whole(path, dtype, (50, 2, 3), offset=4)
    indices = torch.tensor(wanted, dtype=torch.int64)
    assert torch.equal(rows.read(indices), array[indices])
    assert torch.equal(rows.subset(indices).read(), array[indices])


def test_everything_downstream_is_the_same(source):
    on_disk = keep_on_disk(source)
    assert on_disk.train.on_disk and not source.train.on_disk
    assert fingerprint(on_disk) == fingerprint(source)
    here, there = prepare(source, 0.2, seed=3), prepare(on_disk, 0.2, seed=3)
    assert torch.equal(there.val.inputs.read(), here.val.inputs)
    for a, b in zip(statistics(here.train.inputs), statistics(there.train.inputs), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_give_the_same_batches_in_the_same_order(source, workers):
    on_disk = keep_on_disk(source)
    order = BatchOrder(300, 32, seed=5)
    memory, disk = MemoryReader(source.train, order, CPU), WorkerReader(on_disk.train, order, CPU, workers)
    for epoch, start in ((0, 0), (1, 0), (2, 4)):
        ours, theirs = list(memory.epoch(epoch, start)), list(disk.epoch(epoch, start))
        assert len(ours) == len(theirs) == 10 - start
        for (x, y), (u, v) in zip(ours, theirs, strict=True):
            assert torch.equal(x, u) and torch.equal(y, v)


KILLED = """
import multiprocessing, os, signal, torch
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.loading import WorkerReader
from bmx.data.synthetic import synthetic

multiprocessing.set_start_method("forkserver")  # the default of later Pythons
reader = WorkerReader(synthetic(samples=100, shape=(1, 4, 4)).train, BatchOrder(100, 10, seed=0), torch.device("cpu"))
next(iter(reader.epoch(0)))
print(*(worker.pid for worker in reader.loader._iterator._workers), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_the_workers_of_a_killed_run_end_too():
    # Not by a pipe that is read to its end: workers that live on would hold it open.
    with tempfile.TemporaryFile() as said:
        code = subprocess.run([sys.executable, "-c", KILLED], stdout=said, stderr=subprocess.DEVNULL).returncode
        said.seek(0)
        workers = said.read().split()
    assert code == -signal.SIGKILL and len(workers) == 2
    deadline = time.monotonic() + 240
    while left := [pid for pid in workers if Path("/proc", pid.decode(), "task").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_a_large_synthetic_set_is_drawn_straight_to_disk(monkeypatch, tmp_path):
    import bmx.data.synthetic as module

    monkeypatch.setenv("BMX_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "LARGE", 100)
    small, large = synthetic(samples=2500), synthetic(samples=2500, on_disk=True)
    again = synthetic(samples=2500, on_disk=True)
    assert large.train.on_disk
    assert fingerprint(small) == fingerprint(large) == fingerprint(again)


def test_mnist_files_are_left_where_they_are(tmp_path):
    write_set(tmp_path / "MNIST" / "raw")
    assert fingerprint(mnist(str(tmp_path))) == fingerprint(mnist(str(tmp_path), on_disk=True))
    assert mnist(str(tmp_path), on_disk=True).train.on_disk


def test_a_file_that_was_cut_off_is_noticed(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(np.arange(10, dtype=np.uint8).tobytes())
    with pytest.raises(EOFError, match="ends before sample"):
        FileRows.whole(path, torch.uint8, (4, 3)).read()


def test_a_source_comes_back_into_memory(source):
    back = keep_on_disk(source).in_memory()
    assert isinstance(back, Source) and isinstance(back.train, Arrays)
    assert torch.equal(back.train.inputs, source.train.inputs)
