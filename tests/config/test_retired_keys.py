"""Runs of a time when every data set had a field `dir` can still be loaded, measured, and gone on with."""

import pytest
import torch
from omegaconf import OmegaConf, open_dict

import bmx
from bmx.cli.main import main
from bmx.engine.predictor import load_model

WORDS = ["data=iris", "model=mlp", "model.hidden=[8]", "epochs=2", "plots=false"]


def aged(run, folder):
    """Makes a run say of its data what one of that time does."""

    def with_dir(text):
        config = OmegaConf.create(text)
        config.data.dir = folder
        return OmegaConf.to_yaml(config)

    file = run / "config.yaml"
    file.write_text(with_dir(file.read_text()))
    for path in (run / "checkpoints").glob("*.ckpt"):
        state = torch.load(path, weights_only=True)
        holds = state if "config" in state else state["bmx"]
        holds["config"] = with_dir(holds["config"])
        torch.save(state, path)
    words = run / ".hydra" / "overrides.yaml"
    words.write_text(words.read_text() + (f"- data.dir={folder}\n" if folder else "- data.dir=null\n"))


@pytest.mark.parametrize("folder", [None, "/imgs"])
def test_an_old_run_is_loaded_measured_and_gone_on_with(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *WORDS]) == 0
    (run,) = tmp_path.glob("outputs/train/*/*")
    aged(run, folder)
    assert bmx.load(run) is not None and load_model(run / "checkpoints" / "best.ckpt").config.data.dir == folder
    assert main(["evaluate", f"run={run}", "plots=false"]) == 0
    assert main(["compress", f"run={run}", "compression=prune", "epochs=0", "engines=[]", "plots=false"]) == 0
    assert main(["distill", f"teacher={run}", "student=mlp", "epochs=1", "plots=false"]) == 0, capsys.readouterr().err
    assert main(["train", f"resume={run}", "epochs=3"]) == 0, capsys.readouterr().err
    assert "dir" not in OmegaConf.load(run / "config.yaml").data


def test_its_configuration_can_be_trained_again_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = bmx.compose("train", WORDS)
    with open_dict(cfg):
        cfg.data.dir = None
        cfg.epochs = 1
    assert bmx.train(cfg, quiet=True)["status"] == "done"
