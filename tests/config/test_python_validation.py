"""A configuration that Python has changed is checked like a command line."""

import pytest
from omegaconf import OmegaConf

import bmx
from bmx.errors import UsageError


def test_an_interpolation_that_leads_nowhere_is_told_with_its_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = bmx.compose("train", ["data=iris", "model=mlp"])
    OmegaConf.update(cfg, "epochs", "${nowhere}")
    with pytest.raises(UsageError, match="nowhere") as caught:
        bmx.train(cfg, quiet=True)
    assert caught.value.where == "cfg.epochs" and caught.value.exit_code == 2
    assert not (tmp_path / "outputs").exists()


def test_a_value_that_was_taken_away_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = bmx.compose("train", ["data=iris", "model=mlp"])
    cfg.epochs = "???"
    with pytest.raises(UsageError, match="epochs has no value") as caught:
        bmx.train(cfg, quiet=True)
    assert "cfg.epochs" in caught.value.fix
    assert not (tmp_path / "outputs").exists()
