"""Runs, model files and a sweep that an earlier bmx has made are found, loaded, measured and gone on with.

``runs_0_1.tar.gz`` is the folder ``outputs`` of bmx 0.1 at the end of November 2026: trainings on iris and digits, each
compression of one of them, packed files, a distillation and a sweep of two jobs. It is never made again.
"""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
import yaml

import bmx
from bmx.cli.main import main
from bmx.config.resume import own_words

ARCHIVE = Path(__file__).with_name("runs_0_1.tar.gz")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def earlier(unpacked, tmp_path, monkeypatch):
    """A folder to stand in, with the runs in ``outputs``."""
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


def run_of(outputs, verb, name):
    (run,) = (outputs / verb / name).iterdir()
    return run


def result(run):
    return json.loads((run / "result.json").read_text())


def newest(outputs, verb):
    return max(outputs.glob(f"{verb}/*/*"), key=lambda run: run.stat().st_mtime)


MODELS = [
    ("train", "finished"), ("train", "teacher"), ("train", "images"),
    ("compress", "eight_bits"), ("compress", "narrow"), ("compress", "factors"), ("compress", "shared"),
    ("distill", "taught"), ("sweep", "mlp-iris-sgd"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "name"), MODELS)
def test_a_model_is_loaded_and_is_as_good_as_it_was(earlier, verb, name):
    run = run_of(earlier, verb, name)
    assert main(["evaluate", f"run={run}", "plots=false"]) == 0
    found = result(newest(earlier, "evaluate"))
    if verb != "sweep":  # whose best job is measured
        known = {name: value for name, value in result(run)["metrics"].items() if name.startswith("test/")}
        assert {name: found["metrics"][name] for name in known} == pytest.approx(known, rel=1e-4)
    images = name in ("images", "narrow", "factors", "shared")
    raw = torch.zeros(2, 1, 8, 8, dtype=torch.uint8) if images else torch.zeros(2, 4)
    with torch.no_grad():
        assert bmx.load(run)(raw).isfinite().all()


@pytest.mark.parametrize("name", ["eight_bits", "shared"])
def test_a_packed_file_is_the_model_it_was_made_from(earlier, name):
    run = run_of(earlier, "compress", name)
    packed, made = bmx.load(run_of(earlier, "export", name) / "model.bmxp"), bmx.load(run)
    raw = torch.arange(128, dtype=torch.uint8).view(2, 1, 8, 8) if name == "shared" else torch.randn(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(packed(raw), made(raw), rtol=1e-4, atol=1e-4)


def test_a_run_is_gone_on_with(earlier):
    run = run_of(earlier, "train", "finished")
    before = (run / "metrics.csv").read_text().splitlines()
    assert main(["train", f"resume={run}", "epochs=4"]) == 0
    assert (run / "metrics.csv").read_text().splitlines()[: len(before)] == before
    assert result(run)["status"] == "done" and result(run)["epochs"] == 4


def test_runs_are_listed_and_compared(earlier, capsys):
    assert main(["runs", "list", "limit=0"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for _, name in MODELS if name != "mlp-iris-sgd")


def test_a_sweep_takes_what_it_has(earlier, capsys):
    sweep = run_of(earlier, "sweep", "mlp-iris-sgd")
    words = ["data=iris", "model=mlp", "model.hidden=[8]", "plots=false", "device=cpu", "epochs=1"]
    assert main(["sweep", "-m", "lr=0.1,0.01", *words]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert sweep.name in said


@pytest.mark.parametrize("verb", ["compress", "distill"])
def test_a_run_is_compressed_and_teaches(earlier, verb):
    run = run_of(earlier, "train", "teacher")
    words = {
        "compress": [f"run={run}", "compression=prune", "engines=[]"],
        "distill": [f"teacher={run}", "student=mlp"],
    }[verb]
    assert main([verb, *words, "epochs=1", "plots=false"]) == 0
    assert result(newest(earlier, verb))["status"] == "done"


@pytest.mark.parametrize("place", ["site-packages/bmx/conf", "checkout/conf"])
def test_its_words_are_known_wherever_that_bmx_was_installed(earlier, tmp_path, place):
    run = run_of(earlier, "train", "finished")
    there = tmp_path / place
    there.mkdir(parents=True)
    package = there.parent if there.parent.name == "bmx" else there.parent / "bmx"
    for module in ("main.py", "resume.py"):  # as bmx 0.1 had them
        (package / "cli").mkdir(parents=True, exist_ok=True)
        (package / "cli" / module).touch()
    file = run / ".hydra" / "hydra.yaml"
    hydra = yaml.safe_load(file.read_text())
    (own,) = (source for source in hydra["hydra"]["runtime"]["config_sources"] if source["provider"] == "main")
    own["path"] = str(there)
    file.write_text(yaml.safe_dump(hydra))
    words = own_words(run)
    assert words and all("=" in word for word in words)
    own["path"] = str(tmp_path / "elsewhere" / "conf")
    file.write_text(yaml.safe_dump(hydra))
    assert own_words(run) is None
