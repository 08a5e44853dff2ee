"""A format of another package: one module of `bmx_formats`, and nothing else knows of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bmx
from tests.test_house import ROOT, contributed

ENGINE = """

def make(net, example, device, folder, calibration):
    import torch
    from bmx.export.computed import Computed

    net = net.cpu().eval()
    assert len(calibration), "it asked for real inputs"
    return Computed(torch.inference_mode()(net), 4711, torch.device("cpu"))
"""


def place(folder: Path, module: str = "") -> Path:
    """A folder for the import path, with the format that CONTRIBUTING.md shows, and an engine."""
    shown = contributed()["bmx/export/formats/npz.py"]
    text = shown.replace(
        "own_size=True,", 'own_size=True,\n    engines={"npz_net": Engine(f"{__name__}:make", "", True)},'
    )
    text = text.replace("import Format", "import Engine, Format") + ENGINE
    (folder / "bmx_formats").mkdir(parents=True)
    (folder / "bmx_formats" / "npz.py").write_text(module or text)
    return folder


def run(*words: str, folder: Path, path: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """``bmx words`` in a folder that is not on the import path by itself."""
    found = os.pathsep.join(str(one) for one in (path, ROOT) if one)
    command = [sys.executable, "-P", "-m", "bmx", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": found, **more}, capture_output=True, text=True
    )


def test_its_words_are_offered_and_explained(tmp_path: Path) -> None:
    path = place(tmp_path / "package")
    said = run("export", "--help", folder=tmp_path, path=path)
    assert "npz (numpy reads the weights)" in " ".join(said.stdout.split()), said.stderr
    for line, words in {
        "bmx export format=n": ["format=npz"],
        "bmx bench engines=n": ["engines=npz_net"],
        "bmx export format=onn": ["format=onnx"],
    }.items():
        assert run("_complete", folder=tmp_path, path=path, COMP_LINE=line).stdout.split() == words
    for format, code in {"npz": "has no effect", "npy": "format=npz"}.items():
        words = ["export", "run=nowhere", f"format={format}", "tolerance=0.1"]
        refused = run(*words, folder=tmp_path, path=path)
        assert refused.returncode == 2 and code in refused.stderr and not (tmp_path / "outputs").exists()


def test_nothing_is_imported_from_where_one_stands_or_from_the_folder_of_a_file(tmp_path: Path) -> None:
    marking = "from pathlib import Path\nPath(__file__).with_name('was_run').touch()\n"
    place(tmp_path, marking)
    (tmp_path / "model.npz").write_bytes(b"PK")
    refused = run("evaluate", "run=model.npz", folder=tmp_path)
    assert refused.returncode == 2 and "model.npz" in refused.stderr
    unknown = run("export", "format=npz", folder=tmp_path)
    assert unknown.returncode == 2 and "one of onnx, pt2, safetensors, packed" in unknown.stderr
    assert not list(tmp_path.rglob("was_run"))
    run("export", "format=npz", folder=tmp_path, path=tmp_path)
    assert list(tmp_path.rglob("was_run")), "on the import path it is"


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("import not_there", "this format cannot be imported: ModuleNotFoundError"),
        ("suffix='.onnx'", "cannot end in '.onnx', as onnx files do"),
        ("suffix='.ckpt'", "cannot end in '.ckpt', as checkpoints do"),
        ("suffix='npz'", "cannot end in 'npz'"),
    ],
)
def test_one_that_cannot_be_is_told_in_three_lines(module: str, what: str, tmp_path: Path) -> None:
    if module.startswith("suffix"):
        row = "from bmx.config.formats import Format\nFORMAT = Format(50, {}, '', 'npz:w', 'npz:r')\n"
        module = row.format(module.partition("=")[2])
    refused = run("export", "format=npz", folder=tmp_path, path=place(tmp_path / "package", module))
    assert refused.returncode == 2 and what in refused.stderr
    assert len(refused.stderr.splitlines()) == 3 and "bmx_formats.npz" in refused.stderr


def test_a_package_that_it_needs_is_asked_for(tmp_path: Path) -> None:
    path = place(tmp_path / "package")
    file = path / "bmx_formats" / "npz.py"
    file.write_text(file.read_text().replace('extra="numpy"', 'extra="nompy"'))
    refused = run("export", "run=nowhere", "format=npz", folder=tmp_path, path=path)
    assert refused.returncode == 2 and "nompy is not installed" in refused.stderr
    assert "pip install nompy" in refused.stderr and not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_model_goes_there_and_back_and_is_timed(tmp_path: Path) -> None:
    path = place(tmp_path / "package")
    words = [
        "model=mlp",
        "model.hidden=[16]",
        "data=iris",
        "epochs=2",
        "plots=false",
        f"outputs={tmp_path / 'outputs'}",
    ]
    bmx.train(bmx.compose("train", words), quiet=True)

    def done(*words: str) -> dict:
        made = run(*words, f"hydra.run.dir={words[0]}", folder=tmp_path, path=path)
        assert made.returncode == 0, made.stderr
        return json.loads((tmp_path / words[0] / "result.json").read_text())

    export = done("export", "run=latest", "format=npz", "file=model.npz")
    size = (tmp_path / "model.npz").stat().st_size
    assert export["export"]["format"] == "npz" and export["export"]["changed"] == 0
    assert export["cost"]["bytes"] == size
    assert done("evaluate", "run=model.npz", "plots=false")["cost"]["bytes"] == size
    timed = done("bench", "run=model.npz", "engines=eager,npz_net", "seconds=0.01", "plots=false")
    (subject,) = timed["bench"]["subjects"]
    assert [engine["engine"] for engine in subject["engines"]] == ["eager", "npz_net"] and not subject["failures"]
    assert subject["engines"][1]["bytes"] == 4711
    (tmp_path / "model.npz").write_bytes((tmp_path / "model.npz").read_bytes()[: size // 2])
    cut = run("evaluate", "run=model.npz", folder=tmp_path, path=path)
    assert cut.returncode == 2 and len(cut.stderr.splitlines()) == 3 and "this npz file cannot be read" in cut.stderr
