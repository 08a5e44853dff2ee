import errno
import json
from pathlib import Path

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.config.formats import formats
from bmx.errors import RunFailed, UsageError
from bmx.export import writing
from bmx.runs import result as results
from bmx.verbs.export.command import export


def exported(*words: str, outputs: Path) -> dict:
    return export(bmx.compose("export", [*words, f"outputs={outputs}"]), quiet=True)


@pytest.mark.parametrize("format", list(formats()))
def test_an_export_is_compared_and_evaluated(format: str, tmp_path: Path, trained_run: Path) -> None:
    file = tmp_path / f"digits{formats()[format].suffix}"
    result = exported(f"run={trained_run}", f"format={format}", f"file={file}", outputs=tmp_path)
    accuracy = results.read(trained_run)["metrics"]["test/accuracy"]
    assert result["status"] == "done"
    assert result["metrics"]["test/accuracy"] == accuracy
    assert result["export"]["n"] == 359 and result["export"]["changed"] == 0
    assert result["export"]["largest_difference"] < 1e-4
    assert result["cost"]["bytes"] == file.stat().st_size
    beside = json.loads(file.with_suffix(".json").read_text())
    assert beside["labels"] == list("0123456789")
    assert beside["input"]["shape"] == ["batch", 1, 8, 8]
    assert not list(tmp_path.glob(".unchecked*"))

    measured = bmx.evaluate(bmx.compose("evaluate", [f"run={file}", f"outputs={tmp_path}", "plots=false"]), quiet=True)
    assert measured["metrics"]["test/accuracy"] == accuracy
    assert measured["cost"]["parameters"] == result["cost"]["parameters"]
    assert measured["cost"]["macs"] == 64 * 32 + 320


def test_the_file_of_an_export_can_be_evaluated_from_the_command_line(
    tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"run={trained_run}", "preprocessing=beside", f"outputs={tmp_path}"]) == 0
    said = capsys.readouterr().out
    (file,) = tmp_path.glob("export/*/*/model.onnx")
    assert "answers changed  0 of 359" in said and f"bmx evaluate run={file}" in said
    assert main(["evaluate", f"run={file}", "split=val", f"outputs={tmp_path}", "plots=false"]) == 0
    assert "val accuracy" in capsys.readouterr().out


def test_a_disk_that_is_full_is_told_and_no_half_file_stays(
    tmp_path: Path, trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("bmx.export.safetensors_file.write", full)
    file = tmp_path / "model.safetensors"
    with pytest.raises(RunFailed, match="the file cannot be written: Input/output error") as caught:
        exported(f"run={trained_run}", "format=safetensors", f"file={file}", outputs=tmp_path)
    assert caught.value.where == str(file) and "file=" in caught.value.fix
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob(".unchecked*"))
    (run,) = tmp_path.glob("export/*/*")
    assert results.read(run)["status"] == "failed"
    # As it advises: written elsewhere, once something can be written.
    monkeypatch.undo()
    other = tmp_path / "other" / "model.safetensors"
    assert exported(f"run={trained_run}", "format=safetensors", f"file={other}", outputs=tmp_path)["status"] == "done"


def test_an_export_that_differs_fails_and_leaves_no_file(
    tmp_path: Path, trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bmx.verbs.export import command as verb

    write = writing.write

    def wrong(format: str, predictor: torch.nn.Module, *arguments: object) -> None:
        import copy

        other = copy.deepcopy(predictor)
        with torch.no_grad():
            other.net.head.bias[3] += 0.5
        write(format, other, *arguments)

    monkeypatch.setattr(verb.writing, "write", wrong)
    file = tmp_path / "model.safetensors"
    file.write_text("what was there before")
    with pytest.raises(RunFailed, match=r"differs from the original by 0\.5"):
        exported(f"run={trained_run}", "format=safetensors", f"file={file}", outputs=tmp_path)
    assert file.read_text() == "what was there before"
    assert {path.name for path in tmp_path.iterdir()} <= {"model.safetensors", "export", ".clock"}
    (run,) = (tmp_path / "export").glob("*/*")
    failed = results.read(run)
    assert failed["status"] == "failed" and "differs" in failed["reason"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["format=tflite"], "format must be one of onnx"),
        (["preprocessing=outside"], "preprocessing must be one of inside"),
        (["tolerance=0"], "tolerance must be a number greater than 0"),
        (["file=model.bin"], "is to end in .onnx"),
        (["run=nowhere"], "no run 'nowhere'"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    words: list[str], what: str, tmp_path: Path, trained_run: Path
) -> None:
    run = [] if any(word.startswith("run=") for word in words) else [f"run={trained_run}"]
    with pytest.raises(UsageError, match=what):
        exported(*run, *words, outputs=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_finished_graph_is_not_exported_again(tmp_path: Path, trained_run: Path) -> None:
    file = tmp_path / "model.pt2"
    exported(f"run={trained_run}", "format=pt2", f"file={file}", outputs=tmp_path)
    with pytest.raises(UsageError, match="finished graph"):
        exported(f"run={file}", outputs=tmp_path)


@pytest.mark.slow
def test_sixteen_bit_weights_become_float32_where_the_runtime_needs_it(tmp_path: Path) -> None:
    words = ["model=mlp", "model.hidden=[8]", "data=iris", "epochs=1", "precision=bf16-true", "plots=false"]
    bmx.train(bmx.compose("train", [*words, f"outputs={tmp_path}"]), quiet=True)
    for format in list(formats()):
        result = exported("run=latest", f"format={format}", outputs=tmp_path)
        assert result["export"]["changed"] == 0
