"""Tables and plots of made-up measurements."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bmx.runs.report import bench, bench_sweep, plan


def measurement(depth: int = 2, width: int = 16, status: str = "done") -> dict[str, Any]:
    macs = depth * width**2 * 1000
    timing = {"engine": "eager", "batch_size": 1, "p10": 1e-4, "median": macs * 1e-10, "p99": 0.5, "mean": 1e-4, "n": 9}
    model = {
        "name": "cnn",
        "run": None,
        "data": "mnist_5k",
        "input_shape": [1, 28, 28],
        "cost": {"parameters": 100 * width, "trainable_parameters": 90 * width, "frozen_parameters": 10 * width}
        | {"nonzero_parameters": 95 * width, "macs": macs, "bytes": 400 * width},
        "note": "",
        "memory": [{"batch_size": 1, "weights": 400, "forward": 4000, "training": 9000, "training_measured": None}],
        "layers": [
            {"name": f"l{i}", "kind": "Linear", "output": [9], "parameters": 9, "macs": i, "bytes": 36, "share": 0.1}
            for i in range(30)
        ],
        "engines": [{"engine": "eager", "bytes": 400 * width, "metrics": {"accuracy": 0.9731}}],
        "failures": [{"engine": "compile", "reason": "no gcc"}],
        "timings": [{**timing, "throughput": 5000.0}],
    }
    return {
        "verb": "bench",
        "status": status,
        "device": "cpu",
        "threads": 1,
        "cpu": {"model": "Some CPU", "flags": ["avx2", "avx512_vnni"]},
        "overrides": ["model=cnn", f"model.depth={depth}", f"model.width={width}"],
        "bench": {"engines": ["eager"], "batch_sizes": [1, 256], "subjects": [model]},
    }


def said(result: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    bench.show(result, Path("outputs/bench/cnn/1"), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_conditions_are_stated_with_the_numbers() -> None:
    text = said(measurement())
    for part in ("Some CPU (avx2 avx512_vnni)", "1 thread,", "97.31 %", "1.0 M", "0.0512 ms", "500 ms", "9.0 kB"):
        assert part in text, part
    assert "compile: no gcc" in text
    assert "and 6 smaller ones" in text


def test_what_was_not_measured_is_a_dash_not_a_zero() -> None:
    result = measurement()
    result["bench"]["subjects"][0]["timings"] = []
    row = next(line for line in said(result).splitlines() if line.startswith("cnn") and "eager" in line)
    assert row.count("–") == 8


def test_several_models_show_no_layers() -> None:
    result = measurement()
    result["bench"]["subjects"] *= 2
    assert "l29" in said(measurement()) and "l29" not in said(result)


@pytest.mark.parametrize("engines", [1, 3])
def test_the_plot(engines: int, tmp_path: Path) -> None:
    result = measurement()
    model = result["bench"]["subjects"][0]
    model["engines"] = [{"engine": f"e{i}", "bytes": 1} for i in range(engines)]
    model["timings"] = [{**model["timings"][0], "engine": f"e{i}"} for i in range(engines)]
    bench.draw(result, tmp_path / "plots" / "bench.png")
    assert (tmp_path / "plots" / "bench.png").stat().st_size > 5000


def sweep(folder: Path, below: str = "", **more: Any) -> Path:
    for number, (depth, width) in enumerate([(2, 64), (4, 16), (2, 16), (4, 64), (2, 32)]):
        job = folder / below / str(number)
        job.mkdir(parents=True)
        (job / "result.json").write_text(json.dumps(measurement(depth, width, **more)))
    return folder


@pytest.mark.parametrize("below", ["", "jobs"])
def test_a_sweep_is_ordered_by_what_was_chosen(below: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"verb": "sweep"}')
    found = bench_sweep.points(sweep(tmp_path, below))
    assert [(p.chosen["model.depth"], p.chosen["model.width"]) for p in found] == [
        (2, 16),
        (2, 32),
        (2, 64),
        (4, 16),
        (4, 64),
    ]
    assert bench_sweep.swept(found) == ["model.width", "model.depth"]
    assert found[0].costs["MACs"] == 512_000


def test_a_sweep_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench_sweep.report(sweep(tmp_path))
    assert (tmp_path / "plots" / "cost.png").stat().st_size > 20_000
    text = capsys.readouterr().out
    assert "cost against width and depth" in text and "512.0 k" in text


def test_words_are_drawn_too(tmp_path: Path) -> None:
    for number, word in enumerate(["relu", "gelu"]):
        result = measurement()
        result["overrides"] = ["model=cnn", f"model.activation={word}"]
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "result.json").write_text(json.dumps(result))
    bench_sweep.report(tmp_path)
    assert (tmp_path / "plots" / "cost.png").exists()


def test_failed_jobs_and_strangers_are_left_out(tmp_path: Path) -> None:
    sweep(tmp_path, status="failed")
    (tmp_path / "notes").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "result.json").write_text("{")
    assert bench_sweep.points(tmp_path) == []
    bench_sweep.report(tmp_path)
    assert not (tmp_path / "plots").exists()


def test_a_plan_is_told_in_lines() -> None:
    planned = {
        "name": "lenet5",
        "data": {"name": "mnist", "train": 54_000},
        "device": "cpu",
        "precision": "32-true",
        "threads": 2,
        "epochs": 10,
        "steps": 5400,
        "batch_size": 100,
        "found": {"lr": 0.02},
        "cost": {"parameters": 61_706, "trainable_parameters": 10_000, "macs": 416_520, "bytes": 250_000},
        "memory": {"weights": 246_824, "step": None, "optimizer": 0, "data": 0, "total": 246_824, "free": 10**10},
        "seconds": None,
        "disk": {"needed": 10**6, "free": 10**9},
        "warnings": ["the memory will not be enough: try batch_size=50"],
    }
    console = Console(file=io.StringIO(), width=200)
    plan.show(planned, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "does not fit into memory" in text and "warning: the memory" in text
    assert "51,706 of them frozen" in text and "0.02" in text
    planned |= {"seconds": {"total": 125.0, "epoch": 12.5, "steps_measured": 300, "step": 0.0231}, "warnings": []}
    plan.show(planned, console)
    assert "about 2 min 05 s" in console.file.getvalue()  # type: ignore[attr-defined]
