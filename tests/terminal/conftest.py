"""A run to work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pseudo_terminal import in_terminal


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, an MLP on iris."""
    folder = tmp_path_factory.mktemp("iris")
    session = in_terminal("train", "data=iris", "model=mlp", "model.hidden=[8]", "epochs=2", folder=folder)
    assert session.code == 0, session.screen.text
    return folder
