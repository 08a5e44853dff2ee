"""Results and runs as the program writes them, made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def trained() -> dict[str, Any]:
    """The result of a finished LeNet-5 run on 1,000 test images, three of them wrong per hundred."""
    confusion = [[97 if i == j else 0 for j in range(10)] for i in range(10)]
    for i in range(10):
        confusion[i][(i + 1) % 10] = 3
    return {
        "verb": "train",
        "name": "lenet5-mnist_5k",
        "status": "done",
        "metrics": {
            "test/accuracy": 0.97,
            "test/loss": 0.0841234,
            "test/precision": 0.9704,
            "test/recall": 0.97,
            "test/f1": 0.9699,
            "val/accuracy": 0.978,
        },
        "cost": {"parameters": 61706, "trainable_parameters": 61706, "macs": 416520, "bytes": 246824},
        "seconds": {"total": 31.24, "fit": 29.6, "per_epoch": [2.9, 2.93, 9.5]},
        "epochs": 10,
        "steps": 360,
        "best": {"epoch": 9, "metric": "val/accuracy", "value": 0.9783},
        "seed": 0,
        "data": {"name": "mnist_5k", "fingerprint": "5f1c", "train": 3600, "val": 400, "test": 1000},
        "choices": {"model": "lenet5", "data": "mnist_5k"},
        "overrides": ["model=lenet5"],
        "parent": None,
        "test": {"confusion": confusion, "labels": [str(i) for i in range(10)]},
    }


@pytest.fixture
def make_run(tmp_path: Path):
    """A function that lays a run into tmp_path/outputs: its id, verb, result and whether it holds a checkpoint."""

    def make(run_id: str, verb: str = "train", name: str = "n", result: Any = None, checkpoint: bool = False) -> Path:
        run = tmp_path / "outputs" / verb / name / run_id
        run.mkdir(parents=True)
        if result is not None:
            (run / "result.json").write_text(result if isinstance(result, str) else json.dumps(result))
        if checkpoint:
            (run / "checkpoints").mkdir()
            (run / "checkpoints" / "best.ckpt").write_bytes(b"x")
        return run

    return make
