"""bmx train: trains a model, tests the best checkpoint, records the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.checked import Checked, prepared_for
from bmx.config.python_validation import conforming
from bmx.engine import fit
from bmx.engine.predictor import read_model
from bmx.engine.prepare import Prepared, prepare
from bmx.engine.warm_start import model_file, weights_for
from bmx.runs.directory import create
from bmx.runs.origin import changes
from bmx.targets.standing import with_its_trust
from bmx.verbs.recording.fit_run import FitJob, Start, fit_and_test, fit_beside
from bmx.verbs.recording.run_data import tell


@conforming("train")
@with_its_trust
def check(cfg: DictConfig) -> Checked[Prepared]:
    """Checks that a configuration can run, without writing anything; returns the prepared parts for the run.

    Raises:
        UsageError: it cannot; the message names the key and the remedy.
    """
    if _compresses(cfg):
        from bmx.verbs.train.with_compression import check_compression

        check_compression(cfg)
    return Checked(cfg, prepare(cfg))


@conforming("train")
@with_its_trust
def chooses_by(cfg: DictConfig, checked: Checked[Prepared] | None = None) -> str | None:
    """The validation metric that a sweep over this configuration selects by; None without a validation set."""
    return prepared_for(cfg, checked, prepare).validation_metric


@conforming("train")
@with_its_trust
def train(
    cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False, checked: Checked[Prepared] | None = None
) -> dict[str, Any]:
    """Fits the model of ``cfg``, tests its best checkpoint and returns the result, which is also in result.json.

    With ``cfg.plan`` nothing is run or written: the result is the estimate of memory, time and disk.

    Args:
        cfg: the composed configuration of ``bmx train``; see :func:`bmx.compose`.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run.
        RunFailed: training failed; the status in result.json is ``failed``.
    """
    if cfg.get("plan"):
        from bmx.verbs.train.plan import plan

        return plan(cfg, quiet)
    prepared = prepared_for(cfg, checked, prepare)
    told = _begins_otherwise(prepared)
    tell(told, quiet)
    job = FitJob("train", start, facts={"changes": told})
    if not _compresses(cfg):
        return fit_and_test(prepared, job, run_dir, quiet)
    # A third of a second of imports that few trainings need.
    from bmx.verbs.train.with_compression import DURING, compress_trained, train_compressed

    if cfg.compress_when == DURING:
        return train_compressed(prepared, run_dir, quiet)
    run_dir = run_dir or create(Path(cfg.outputs), "train", str(cfg.name or "run"))
    result = fit_and_test(prepared, job, run_dir, quiet)
    if result["status"] == "done":
        result["compressed"] = compress_trained(cfg, run_dir, quiet)
    return result


@conforming("train")
@with_its_trust
def rank(cfg: DictConfig, run_dir: Path) -> None:
    """Trains beside rank 0, with the configuration that it left in ``run_dir``."""
    fit_beside(prepare(cfg), FitJob("train", start), run_dir)


def start(prepared: Prepared, run_dir: Path) -> Start:
    """The model of the configuration, freshly initialised or with the weights of ``init_from``."""
    cfg = prepared.cfg
    net = fit.build_net(prepared)
    if cfg.init_from and not prepared.goes_on:
        net.load_state_dict(weights_for(net, str(cfg.init_from), Path(cfg.outputs)))
    return Start(net)


def _begins_otherwise(prepared: Prepared) -> list[str]:
    """Changes of the user's code since the weights of ``init_from`` were trained, in sentences."""
    cfg = prepared.cfg
    if not cfg.init_from or prepared.goes_on or not prepared.origin.get("code"):
        return []
    made = read_model(model_file(str(cfg.init_from), Path(cfg.outputs))).get("origin") or {}
    found = changes(made, prepared.origin)
    return [f"init_from: {line}" for line in (found.code, found.layout) if line]


def _compresses(cfg: DictConfig) -> bool:
    return OmegaConf.select(cfg, "compression") is not None
