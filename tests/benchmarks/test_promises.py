"""What bmx says of time, against the clock (`make bench`): a quiet machine is needed, so nothing is asserted."""

import statistics
import subprocess
import sys
import time

import pytest

import bmx
from bmx.verbs.train.plan import plan

pytestmark = pytest.mark.benchmark


def test_the_predicted_time_and_the_real_one(tmp_path):
    words = ["model=lenet5", "epochs=4", "plots=false", "trainer.threads=1", f"outputs={tmp_path}"]
    predicted = plan(bmx.compose("train", words), quiet=True)["seconds"]["total"]
    real = bmx.train(bmx.compose("train", words), quiet=True)["seconds"]["fit"]
    print(f"\npredicted {predicted:.1f} s, took {real:.1f} s: {predicted / real:.2f}")


def test_the_front_page():
    """Seconds of `bmx --help`, and of Python that does nothing."""
    ways = {"bmx --help": ["-m", "bmx", "--help"], "python -c ''": ["-c", ""]}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(10):
        for name, words in ways.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - began)
    print()
    for name, seconds in times.items():
        print(f"{name:<14} {statistics.median(seconds):.3f} s")
