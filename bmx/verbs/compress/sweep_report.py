"""Report of ``bmx compress -m``: latency of all models, measured interleaved, which parallel jobs could not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from bmx.engine.fit import best_file
from bmx.export.reading import load
from bmx.runs.report import compress_sweep
from bmx.targets.standing import named_in, trusting
from bmx.verbs.bench.measuring import measure
from bmx.verbs.bench.models import Subject
from bmx.verbs.compress.comparison import ruler_of

# Exporting each to ONNX takes seconds; with more models than this they are timed in torch alone.
_FEW = 12


def report(sweep: Path, common: DictConfig) -> None:
    """Measures the original and every compressed model of a sweep in the same way, then prints and draws them.

    Args:
        sweep: the sweep's directory.
        common: the configuration of its jobs, except for the swept keys.
    """
    points = compress_sweep.points(sweep)
    if len(points) < 2:
        return
    files = {point["name"]: best_file(Path(point["run"])) for point in points}
    originals = {point["parent"]: Path(point["parent"]) for point in points}
    with trusting(common.get("trust"), named_in(common)):
        subjects = [_subject(name, file) for name, file in {**originals, **files}.items() if file.exists()]
    ruler = replace(ruler_of(common, torch.device("cpu")), accuracy=False)
    if len(subjects) > _FEW:
        ruler = replace(ruler, engines=[word for word in ruler.engines if word != "onnx"])
    timings = {entry["name"]: entry["timings"] for entry in measure(subjects, ruler)}
    for point in points:
        point["after"]["timings"] = timings.get(point["name"], [])
        point["before"]["timings"] = timings.get(point["parent"], [])
    compress_sweep.show(points, sweep)


def _subject(name: str, file: Path) -> Subject:
    loaded = load(file)
    return Subject(name, loaded, str(file), loaded.cost())
