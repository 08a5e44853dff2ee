"""bmx compress: compresses the model of a run, fine-tunes it, and compares cost and accuracy of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.config.checked import Checked, prepared_for
from bmx.config.python_validation import conforming
from bmx.engine.build import sources_kept
from bmx.runs.report import compression as report
from bmx.targets.standing import with_its_trust
from bmx.verbs.compress import pipeline, towards_target
from bmx.verbs.compress.comparison import check_engines, weigh
from bmx.verbs.compress.compression_run import Compressing
from bmx.verbs.compress.parent import Parent, prepare_compression, since_then, split_of
from bmx.verbs.compress.pipeline import is_pipeline
from bmx.verbs.compress.target import Target
from bmx.verbs.recording.fit_run import FitJob, fit_and_test
from bmx.verbs.recording.run_data import tell


@conforming("compress")
@with_its_trust
def check(cfg: DictConfig) -> Checked[Parent]:
    """Checks that a compression can run, without writing anything; returns the prepared parts for the run.

    Raises:
        UsageError: no such run, a field that its method does not have, or fine-tuning that cannot be done.
    """
    target = Target.of(cfg)
    check_engines(cfg)
    with sources_kept():
        begun = _prepare(cfg)
        if target is not None:
            towards_target.check(cfg, target, begun)
    return Checked(cfg, begun)


@conforming("compress")
@with_its_trust
def chooses_by(cfg: DictConfig, checked: Checked[Parent] | None = None) -> str | None:
    """The validation metric that a sweep over this configuration selects by; None without a validation set."""
    return prepared_for(cfg, checked, _prepare).prepared.validation_metric


@conforming("compress")
@with_its_trust
def compress(
    cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False, checked: Checked[Parent] | None = None
) -> dict[str, Any]:
    """Compresses the model of ``cfg.run`` and returns the result, which is also in result.json.

    The model is in ``checkpoints/best.ckpt``, loads with ``bmx.load`` and holds no pickled module. The result's
    ``compression`` has the layers and both models' cost, accuracy and latency.

    Args:
        cfg: the composed configuration of ``bmx compress``.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run, or the budget cannot be met with this model.
        RunFailed: fine-tuning failed; the status in result.json is ``failed``.
    """
    begun, target = prepared_for(cfg, checked, _prepare), Target.of(cfg)
    if target is not None:
        return towards_target.search(cfg, target, begun, run_dir, quiet, _trial)
    if is_pipeline(cfg):
        return pipeline.pipeline(cfg, begun, run_dir, quiet, _stage)
    return _compress(begun, run_dir, quiet)


def _prepare(cfg: DictConfig) -> Parent:
    return pipeline.check(cfg) if is_pipeline(cfg) else prepare_compression(cfg)


def _stage(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    return _compress(prepare_compression(cfg), run_dir, quiet=True)


def _trial(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    if is_pipeline(cfg):
        return pipeline.pipeline(cfg, pipeline.check(cfg), run_dir, True, _stage)
    return _stage(cfg, run_dir)


def _compress(begun: Parent, run_dir: Path | None, quiet: bool) -> dict[str, Any]:
    prepared, parent = begun.prepared, begun.model
    split = split_of(prepared.cfg)
    told = since_then(prepared, parent)
    tell(told, quiet)
    work = Compressing(parent.predictor, int(prepared.cfg.epochs))
    name = prepared.cfg.name
    job = FitJob(
        "compress",
        work.start,
        parent=str(parent.file),
        facts={"changes": told},
        finish=work.finish,
        conclude=lambda result, run, tested: weigh(
            prepared, parent, {"name": name, **result}, run, tested, work.change, split
        ),
        show=report.show,
        split=split,
        validates=True,
    )
    return fit_and_test(prepared, job, run_dir, quiet, fits=work.epochs > 0)
