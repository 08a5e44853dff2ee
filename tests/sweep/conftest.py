"""An empty folder for each test to stand in."""

import pytest


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path
