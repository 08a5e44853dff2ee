"""bmx compress: make a smaller or faster model out of a run's, fine-tune it, and weigh both with one ruler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.python_validation import conforming
from bmx.engine.build import sources_kept
from bmx.engine.prepare import Prepared
from bmx.export.reading import load_predictor
from bmx.runs.report import compression as report
from bmx.targets.standing import with_its_trust
from bmx.verbs.compress import pipeline, towards_target
from bmx.verbs.compress.comparison import check_engines, weigh
from bmx.verbs.compress.pipeline import is_pipeline
from bmx.verbs.compress.setup import Compressing, find_parent, prepare_compression, since_then, split_of
from bmx.verbs.compress.target import Target
from bmx.verbs.recording.fit_run import Job, fit_and_test
from bmx.verbs.recording.run_data import tell

# What check() loaded, for the compress() that follows it in the same process.
_checked: dict[str, Prepared] = {}


@conforming("compress")
@with_its_trust
def check(cfg: DictConfig) -> None:
    """Finds out whether a compression can run, without writing anything.

    Raises:
        UsageError: no such run, a field that its method does not have, or fine-tuning that cannot be done.
    """
    _checked.clear()
    target = Target.of(cfg)
    check_engines(cfg)
    with sources_kept():
        if is_pipeline(cfg):
            pipeline.check(cfg)
        else:
            _checked[_key(cfg)] = prepare_compression(cfg)
        if target is not None:
            towards_target.check(cfg, target)


@conforming("compress")
@with_its_trust
def chooses_by(cfg: DictConfig) -> str | None:
    """The validation metric that a sweep over this configuration chooses by; None if nothing is held out."""
    from bmx.tasks.losses import objective_for

    prepared = _checked.get(_key(cfg)) or (pipeline.check(cfg) if is_pipeline(cfg) else prepare_compression(cfg))
    return None if prepared.data.val is None else f"val/{objective_for(prepared.data.spec).score_name}"


@conforming("compress")
@with_its_trust
def compress(cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Compresses the model of ``cfg.run`` and returns the result, which is also in result.json.

    The model is in ``checkpoints/best.ckpt``, loads with ``bmx.load`` and holds no pickled module. The result's
    ``compression`` has the layers and both models' cost, accuracy and latency.

    Args:
        cfg: the composed configuration of ``bmx compress``.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run, or the budget cannot be met with this model.
        RunFailed: fine-tuning could not go on; result.json says ``failed``.
    """
    target = Target.of(cfg)
    if target is not None:
        return towards_target.search(cfg, target, run_dir, quiet, _trial)
    if is_pipeline(cfg):
        return pipeline.pipeline(cfg, run_dir, quiet, _stage)
    return _compress(cfg, run_dir, quiet)


def _stage(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    return _compress(cfg, run_dir, quiet=True)


def _trial(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    return pipeline.pipeline(cfg, run_dir, True, _stage) if is_pipeline(cfg) else _stage(cfg, run_dir)


def _compress(cfg: DictConfig, run_dir: Path | None, quiet: bool) -> dict[str, Any]:
    prepared = _checked.pop(_key(cfg), None) or prepare_compression(cfg)
    file, split = find_parent(cfg), split_of(cfg)
    told = since_then(prepared, file)
    tell(told, quiet)
    work = Compressing(load_predictor(file), int(prepared.cfg.epochs))
    job = Job(
        "compress",
        work.start,
        parent=str(file),
        facts={"changes": told} if told else {},
        finish=work.finish,
        conclude=lambda result, run, tested: weigh(
            prepared, file, {"name": cfg.name, **result}, run, tested, work.change, split
        ),
        show=report.show,
        split=split,
        validates=True,
    )
    return fit_and_test(prepared, job, run_dir, quiet, fits=work.epochs > 0)


def _key(cfg: DictConfig) -> str:
    return OmegaConf.to_yaml(cfg, resolve=True)
