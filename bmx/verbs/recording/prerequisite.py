"""Prerequisite trainings of a verb (teachers, baselines): an equal run is reused, otherwise trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from bmx.data.spec import DataSpec
from bmx.engine.fit import best_file
from bmx.engine.prepare import prepare
from bmx.errors import BmxError, Interrupted, UsageError
from bmx.files.shown import shown
from bmx.metrics.standard import MAIN
from bmx.runs import result as results
from bmx.runs import status
from bmx.runs.directory import create
from bmx.runs.finding import newest_first
from bmx.runs.names import folder_name
from bmx.runs.origin import changes, origin_of
from bmx.sweep.config_hash import job_key
from bmx.targets.standing import named_in, vouch
from bmx.verbs.recording.fit_run import FitJob, fit_and_test


def trained(
    cfg: DictConfig,
    role: str,
    job: FitJob,
    quiet: bool = False,
    make_net: Callable[[DataSpec], nn.Module] | None = None,
) -> Path:
    """The directory of a finished training with this configuration.

    Of several processes that need the same training, one trains while the others wait.

    Args:
        cfg: as `bmx train` composes it.
        role: its role, for display.
        job: how it starts.
        quiet: print nothing.
        make_net: builds the model, where ``cfg.model`` alone does not define it.

    Raises:
        UsageError: no run can be made where it is to lie.
        RunFailed: it could not be trained.
        Interrupted: it was stopped; its checkpoint is kept and resumed next time.
    """
    vouch(named_in(cfg))
    folder = Path(cfg.outputs) / "train" / folder_name(str(cfg.name))
    key = job_key("train", cfg)
    with _alone(folder, key):
        found = _equal(folder, cfg, key, ("done",), make_net)
        if found is not None and best_file(found).exists():
            if not quiet:
                print(f"{role}: {_told(results.read(found))}, from {shown(found)}", flush=True)
            return found
        stopped = _equal(folder, cfg, key, ("interrupted", "died"), make_net)
        with open_dict(cfg):
            cfg.resume = None if stopped is None else str(stopped)
        if not quiet:
            print(f"{role}: {'going on with' if stopped else 'training'} {cfg.name}", flush=True)
        run = stopped or create(Path(cfg.outputs), "train", str(cfg.name))
        result = fit_and_test(prepare(cfg, make_net), job, run, quiet)
    if result["status"] == "interrupted":
        raise Interrupted(f"{result.get('reason') or 'stopped'} while the {role} was trained")
    assert result["status"] == "done", "what fails raises"
    return run


def brief_job(choices: dict[str, str], role: str, base: FitJob) -> FitJob:
    """A training that shows its progress and one line at the end, recorded with its role and its own choices."""
    return FitJob(
        base.verb,
        base.start,
        facts={"choices": choices, "overrides": [], "role": role},
        show=lambda result, run: print(f"{_told(result)}, in {shown(run)}", flush=True),
    )


def _told(result: dict[str, Any]) -> str:
    score = MAIN["classification"]
    value = (result.get("metrics") or {}).get(f"test/{score.name}")
    return str(result.get("status")) if value is None else f"test {score.said} {100 * value:.2f} %"


def _equal(
    folder: Path,
    cfg: DictConfig,
    key: str,
    statuses: tuple[str, ...],
    make_net: Callable[[DataSpec], nn.Module] | None,
) -> Path | None:
    """The newest run in ``folder`` with the same configuration, data and code.

    Only runs with the same seed are read in full, and the data only if one has the same configuration.
    """
    if not folder.is_dir():
        return None
    now: dict[str, Any] | None = None
    for run in newest_first(folder.parent.parent, ("train",)):
        if run.parent != folder:
            continue
        try:
            result = results.read(run)
            if status.status(run, result) not in statuses or result.get("seed") != int(cfg.seed):
                continue
            kept = OmegaConf.load(run / "config.yaml")
        except (BmxError, OSError, ValueError):
            continue
        if isinstance(kept, DictConfig) and job_key("train", kept) == key:
            now = now or prepare(cfg, make_net).origin
            other = changes(origin_of(run), now)
            if not other.data and not other.code:
                return run
    return None


@contextlib.contextmanager
def _alone(folder: Path, key: str) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"no run can be made here: {error}", str(folder), "choose another folder, outputs=") from error
    with FileLock(folder / f".{key}.lock"):
        yield
