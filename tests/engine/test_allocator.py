"""Freed memory stays with the process, unless the environment says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

from bmx.engine import allocator

# Three arrays that live at once and are freed at once, ten times: what a training step does.
STEPS = """
import resource, sys
import numpy as np
from bmx.engine.allocator import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()

def step():
    kept = [np.ones(15 << 20, np.uint8) for _ in range(3)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")


def faults(*words):
    env = {name: value for name, value in os.environ.items() if name not in allocator.CHOSEN}
    done = subprocess.run([sys.executable, "-c", STEPS, *words], env=env, capture_output=True, text=True, check=True)
    return int(done.stdout)


@on_glibc
def test_a_step_takes_up_the_memory_of_the_one_before():
    pages = 10 * 3 * (15 << 20) // os.sysconf("SC_PAGESIZE")
    assert faults("keep") < pages / 100


@pytest.mark.parametrize("name", allocator.CHOSEN)
def test_an_environment_that_sets_up_malloc_is_left_alone(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert not allocator.keep_freed_memory()
