"""Runs a job, then measures its model's latency, for sweeps with latency as objective or constraint."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from bmx.sweep import job_status
from bmx.sweep.job_status import JobState
from bmx.targets.standing import KEY, trusting

SECONDS = 0.5
"""Duration of the latency measurement."""
CALL = "bmx.sweep.workers.latency:main"


def known(end: JobState) -> bool:
    """Whether a finished job has a latency; it has not if it was stopped in between, or is another sweep's."""
    return "latency" in (end.result.get("cost") or {})


def main(arguments: list[str]) -> int:
    """Runs a command line of bmx in a given run directory, and adds ``cost.latency`` to the result of the run.

    The latency is the median for one sample, in seconds, on the job's own cores, while other jobs are running. A run
    that is done already is only measured.
    """
    named = [word.partition("=")[2].strip("'") for word in arguments if word.startswith("hydra.run.dir=")]
    run = Path(named[-1]) if named else None
    code = 0
    if run is None or job_status.read(run).state != "done":
        code = int(import_module("bmx.__main__").main(arguments))
    if code == 0 and run is not None:
        with trusting(*_trust(arguments)):
            measure(run)
    return code


def _trust(arguments: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The modules that the job's command line trusts, and the targets that it names itself."""
    words = [(key.lstrip("+"), value) for key, _, value in (word.partition("=") for word in arguments)]
    trust = next((value for key, value in reversed(words) if key == KEY and value != "null"), "")
    own = [(key.partition(".")[0], value) for key, value in words if key.endswith("._target_")]
    return [name for name in trust.strip("[]").split(",") if name], own


def measure(run: Path) -> float:
    """Measures the latency of a run's best model and writes it into its result; seconds."""
    import torch

    from bmx.engine.fit import best_file
    from bmx.engine.predictor import load_model
    from bmx.measure.latency import interleave
    from bmx.runs import result as results

    model = load_model(best_file(run))
    sample = torch.zeros((1, *model.spec.input_shape), dtype=model.spec.form.stored)
    with torch.inference_mode():
        took = interleave({"run": lambda: model(sample)}, SECONDS)["run"].median
    found = results.read(run)
    results.write(run, {**found, "cost": {**(found.get("cost") or {}), "latency": took}})
    return took
