"""A run over thousands of classes: what it writes and computes grows with samples and classes, not with their pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bmx
from bmx.data.arrays import Arrays, Source
from bmx.data.spec import DataSpec
from bmx.engine.device import Device
from bmx.engine.evaluation import batch_size_for, evaluate
from bmx.engine.mistakes import mistakes

BITS = 17


def numbered(classes: int = 2_000, samples: int = 4_000) -> Source:
    """Numbers of classes in binary, with a little noise."""
    targets = torch.arange(samples) % classes
    generator = torch.Generator().manual_seed(0)
    code = torch.stack([(targets >> bit) & 1 for bit in range(BITS)], 1).float()
    rows = Arrays(code + 0.1 * torch.randn(code.shape, generator=generator), targets)
    spec = DataSpec("numbered", "table", (BITS,), classes, tuple(f"class number {i}" for i in range(classes)))
    return Source(rows, rows, spec)


def words(*more: str) -> list[str]:
    target = "data._target_=tests.verbs.test_many_classes.numbered"
    return ["data=iris", target, "model=linear", "lr=0.1", "batch_size=500", "epochs=1", *more]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "samples"), [(2_000, 4_000), (20_000, 1_500), pytest.param(100_000, 1_500, marks=pytest.mark.slow)]
)
def test_a_run_and_its_evaluation_are_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int, samples: int
) -> None:
    largest = 0
    zeros = np.zeros

    def counted(shape, *more, **named):
        nonlocal largest
        largest = max(largest, int(np.prod(shape)))
        return zeros(shape, *more, **named)

    monkeypatch.setattr(np, "zeros", counted)
    held = f"data.val_size={samples // 10 if classes < samples else 0}"
    more = [f"+data.classes={classes}", f"+data.samples={samples}", held, f"outputs={tmp_path}"]
    result = bmx.train(bmx.compose("train", words(*more)), quiet=True)
    (run,) = (tmp_path / "train").glob("*/*")
    assert result["status"] == "done" and 0 <= result["metrics"]["test/accuracy"] <= 1
    bmx.evaluate(bmx.compose("evaluate", [f"run={run}", f"outputs={tmp_path}"]), quiet=True)
    for folder in (run, *(tmp_path / "evaluate").glob("*/*")):
        assert (folder / "result.json").stat().st_size < 5_000
        assert (folder / "confusion.csv").stat().st_size < 30 * samples
        assert (folder / "classes.csv").stat().st_size < 50 * classes
        drawn = {file.stem for file in (folder / "plots").iterdir()}
        assert {"confusion", "per_class", "mistakes"} <= drawn
    assert largest < max(classes, samples) * BITS * 2


def test_only_the_worst_mistakes_are_looked_up() -> None:
    source = numbered(2_000, 4_000)
    wrong = (source.test.targets + 1) % 2_000

    def predict(raw: torch.Tensor) -> torch.Tensor:
        first = predict.seen  # type: ignore[attr-defined]
        predict.seen += len(raw)  # type: ignore[attr-defined]
        return torch.nn.functional.one_hot(wrong[first : first + len(raw)], 2_000).float() * 3

    predict.seen = 0  # type: ignore[attr-defined]
    found = evaluate(predict, source.test, source.spec, Device(torch.device("cpu"), "32-true"))
    worst, count = mistakes(found, source.test, source.spec)
    assert len(worst) == 36 and count == 4_000 and found.metrics["accuracy"] == 0
    assert found.confusion is not None and len(found.confusion.count) == 2_000


def test_test_batches_are_smaller_where_the_logits_are_many() -> None:
    assert batch_size_for(numbered(2_000, 10).spec) == 500
    assert batch_size_for(numbered(100_000, 10).spec) == 167
