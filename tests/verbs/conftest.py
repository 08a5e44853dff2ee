"""A run to work on, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

import bmx


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLP after two epochs on the small digits; its directory is to be read, not written."""
    outputs = tmp_path_factory.mktemp("trained")
    words = ["model=mlp", "model.hidden=[32]", "data=digits", "epochs=2", "plots=false", f"outputs={outputs}"]
    bmx.train(bmx.compose("train", [*words, "lr=0.1"]), quiet=True)
    (run,) = (outputs / "train").glob("*/*")
    return run
