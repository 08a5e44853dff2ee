"""What every test relies on: one thread, no deadlines on a shared machine, and a cache of its own.

`make test` takes both of two cores (`pytest -n 2 --dist loadfile`: a file's tests share what it has trained).
`--cpu=20` names the tests and files that take the most processor time. A process that imports torch costs five
seconds of it: call `bmx.cli.main.main([...])`, or have `tests.warm_process.bmx(..., folder=...)` fork one.
"""

import os

# Read when torch is imported. Waiting threads spin, which costs other tests their time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

pytest_plugins = ["tests.cpu_seconds", "tests.error_texts", "tests.toy_house"]

settings.register_profile("bmx", deadline=None)
settings.load_profile("bmx")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Parsed data sets are cached once for the session, and nothing of the user's is touched."""
    before = os.environ.get("BMX_CACHE")
    os.environ["BMX_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "bmx-test-cache")
    yield
    if before is None:
        del os.environ["BMX_CACHE"]
    else:
        os.environ["BMX_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut():
    """Nothing here pulls the plug: what is written need not have reached the disk, ten times a run."""
    before, os.fsync = os.fsync, lambda descriptor: (os.fstat(descriptor), None)[1]
    yield
    os.fsync = before


@pytest.fixture(scope="session", autouse=True)
def _warm_nursery():
    """The jobs of sweeps are forked from a warm process."""
    from bmx.sweep.workers import processes
    from tests import warm_nursery

    before, processes.serve = processes.serve, warm_nursery.fork
    yield
    processes.serve = before


@pytest.fixture
def real_nursery(monkeypatch):
    """They are forked from the process that users have."""
    from bmx.sweep.workers import processes
    from tests import warm_nursery

    monkeypatch.setattr(processes, "serve", warm_nursery.real)
