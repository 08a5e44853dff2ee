"""What every test relies on: no deadlines on a shared machine, and a cache of its own."""

import os

import pytest
from hypothesis import settings

pytest_plugins = ["tests.cpu_seconds"]

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
