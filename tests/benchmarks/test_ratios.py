"""Speed and memory of bmx against a bare loop and a bare Trainer, as ratios of one run (`make bench`).

Whole processes are timed with one epoch and with more; the difference is the cost of an epoch, the rest is start-up.
Nothing is asserted: a machine's speed drifts, and a slow afternoon is not a defect. Use a quiet machine.
"""

import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("BMX_BENCH_ROUNDS", "3"))
# So many that they take longer than what start-up varies by.
EPOCHS = {"lenet5": 2, "mlp": 8}
OFF = "data.val_size=0 plots=false scheduler=constant optim=sgd lr=0.01 batch_size=100"

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60,000 images in MNIST's own format, and the same as one tensor file."""
    from bmx.data.synthetic import synthetic
    from tests.data.idx_files import idx_bytes

    folder = tmp_path_factory.mktemp("data")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    source = synthetic(samples=60_000, test_samples=10_000)
    for part, arrays in (("train", source.train), ("t10k", source.test)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(arrays.inputs[:, 0].numpy()))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(arrays.targets.numpy().astype(np.uint8)))
    torch.save((source.train.inputs, source.train.targets), folder / "data.pt")
    return folder


def measured(command, cwd):
    """Seconds and peak resident bytes of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        shlex.split(command), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def environment():
    return {**os.environ, "PYTHONPATH": str(HERE.parents[1])}


def commands(data, model):
    word = {"lenet5": "lenet5", "mlp": "lenet_300_100"}[model]
    bmx = f"{sys.executable} -m bmx train model={word} data=mnist data.dir={data} {OFF}"
    return {
        "bmx": bmx + " epochs={epochs}",
        "bare loop": f"{sys.executable} {HERE / 'lean_loop.py'} {data / 'data.pt'} {model} {{epochs}}",
        "bare Trainer": f"{sys.executable} {HERE / 'bare_trainer.py'} {data / 'data.pt'} {model} {{epochs}} --bare",
        "usual Trainer": f"{sys.executable} {HERE / 'bare_trainer.py'} {data / 'data.pt'} {model} {{epochs}}",
    }


def show(title, rows):
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<46} {value}")


@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_an_epoch(data, model, tmp_path, benchmark):
    epoch, rest, memory = ({name: [] for name in commands(data, model)} for _ in range(3))

    def rounds():
        for _ in range(ROUNDS):
            for name, command in commands(data, model).items():
                one, peak = measured(command.format(epochs=1), tmp_path)
                more, _ = measured(command.format(epochs=1 + EPOCHS[model]), tmp_path)
                epoch[name].append((more - one) / EPOCHS[model])
                rest[name].append(one - epoch[name][-1])
                memory[name].append(peak)

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    rows = []
    for name in list(epoch)[1:]:
        for what, times in (("an epoch", epoch), ("start-up and end", rest), ("peak memory", memory)):
            ratio = statistics.median(a / b for a, b in zip(times[name], times["bmx"], strict=True))
            rows.append((f"{what}: {name} / bmx", f"{ratio:.2f}"))
    benchmark.extra_info.update(rows)
    show(f"{model}, 60,000 images, batch 100", rows)


def test_growth(tmp_path, benchmark):
    """Seconds per epoch and memory from 5,000 to 500,000 images, in memory and from disk."""
    sizes, rows = (5_000, 50_000, 500_000), []

    def run(size, where):
        command = (
            f"{sys.executable} -m bmx train model=mlp model.hidden=[32] data=synthetic data.samples={size} "
            f"data.in_memory={where} {OFF}"
        )
        epochs = max(2, min(40, 200_000 // size))
        one, peak = measured(command + " epochs=1", tmp_path)
        more, _ = measured(command + f" epochs={1 + epochs}", tmp_path)
        return (more - one) / epochs, peak

    def all_sizes():
        for where in ("true", "false"):
            run(sizes[-1], where)  # draws the images once
            found = [run(size, where) for size in sizes]
            per_sample = [seconds / size for (seconds, _), size in zip(found, sizes, strict=True)]
            for size, cost, (_, peak) in zip(sizes, per_sample, found, strict=True):
                rows.append((f"in_memory={where}, {size:,}: time a sample, to 50,000", f"{cost / per_sample[1]:.2f}"))
                rows.append((f"in_memory={where}, {size:,}: peak memory, to 50,000", f"{peak / found[1][1]:.2f}"))

    benchmark.pedantic(all_sizes, rounds=1, iterations=1)
    show("growth", rows)


def test_start_up_does_not_depend_on_the_runs_there_are(tmp_path, benchmark):
    command = f"{sys.executable} -m bmx train model=linear data=points epochs=1 plots=false"
    few, many = [], []

    def rounds():
        for i in range(3000):
            run = tmp_path / "many" / "outputs" / "train" / f"old-{i % 30}" / f"20250101-000000-{i:04x}"
            run.mkdir(parents=True)
            (run / "result.json").write_text('{"verb": "train", "status": "done"}')
        (tmp_path / "few").mkdir()
        for _ in range(ROUNDS + 2):
            few.append(measured(command, tmp_path / "few")[0])
            many.append(measured(command, tmp_path / "many")[0])

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    show("start-up", [("3,000 runs there / none there", f"{statistics.median(many) / statistics.median(few):.2f}")])
