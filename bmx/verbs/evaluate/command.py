"""bmx evaluate: metrics of a trained model or an exported file, on its own data or on others of the same shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.checked import Checked, prepared_for
from bmx.config.python_validation import conforming
from bmx.data.arrays import Arrays
from bmx.data.pipeline.prepare import DataSet
from bmx.engine.device import resolve, use_cpu
from bmx.engine.evaluation import evaluate as measure
from bmx.engine.measures import make_metrics, try_metrics
from bmx.engine.mistakes import mistakes
from bmx.engine.trust_check import judged
from bmx.engine.warm_start import model_file
from bmx.errors import UsageError
from bmx.export.reading import Loaded, load
from bmx.metrics.metric import Metric
from bmx.metrics.standard import notes
from bmx.runs import confusion as confusions
from bmx.runs.directory import create
from bmx.runs.recording import recorded
from bmx.runs.report import plots, summary
from bmx.targets.standing import with_its_trust
from bmx.verbs.recording.chosen_words import chosen_facts
from bmx.verbs.recording.run_data import data_for, tell, what_changed

Asked = tuple[Loaded, DataSet, tuple[Metric, ...]]
"""The model, its data, and the metrics besides the standard ones."""


@conforming("evaluate")
@with_its_trust
def check(cfg: DictConfig) -> Checked[Asked]:
    """Checks that the evaluation can run, without writing anything; returns the loaded parts for the run.

    Raises:
        UsageError: no such run, split or device, or data that the model does not take.
    """
    return Checked(cfg, _loaded(cfg))


@conforming("evaluate")
@with_its_trust
def evaluate(
    cfg: DictConfig,
    run_dir: Path | None = None,
    quiet: bool = False,
    checked: Checked[Asked] | None = None,
) -> dict[str, Any]:
    """Evaluates a run's best checkpoint, or an exported file, and returns the result, which is also in result.json.

    Args:
        cfg: the composed configuration of ``bmx evaluate``.
        run_dir: where the result goes; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run.
    """
    model, data, measures = prepared_for(cfg, checked, _loaded)
    device = resolve(str(cfg.device), str(cfg.precision or model.config.precision))
    threads = use_cpu(model.config.trainer.threads)
    arrays = _split(cfg, data)
    told = what_changed(model, data, OmegaConf.select(cfg, "data"))
    name = str(cfg.name or model.config.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), "evaluate", name)
    facts = {
        **chosen_facts(),
        "parent": str(model.file),
        "seed": int(model.config.seed),
        "device": str(device.where),
        "precision": device.precision,
        "threads": threads,
        "data": {"name": data.spec.name, "fingerprint": data.fingerprint, cfg.split: len(arrays)},
        "changes": told,
        **({"measures": notes(measures)} if measures else {}),
    }
    with recorded(run_dir, "evaluate", name, **facts) as run:
        tell(told, quiet)
        run.keep(cfg)
        measured = measure(model.model.to(device.where), arrays, model.spec, device, more=measures)
        run.outcome = {
            "metrics": {f"{cfg.split}/{metric}": value for metric, value in measured.metrics.items()},
            "cost": model.cost().to_dict(),
            "test": confusions.keep(run_dir, measured.confusion, list(model.spec.labels)),
        }
    if cfg.plots:
        worst, count = mistakes(measured, arrays, model.spec)
        plots.draw(run_dir, run.result, worst, model.spec.form.samples, cfg.split, count)
    if not quiet:
        summary.show(run.result, run_dir)
    return run.result


def _loaded(cfg: DictConfig) -> Asked:
    model = load(model_file(str(cfg.run), Path(cfg.outputs)))
    resolve(str(cfg.device), str(cfg.precision or model.config.precision))
    data = data_for(cfg, model.spec, model.config, model.file)
    measures = _measures(cfg, model)
    try_metrics(measures, model.spec, _split(cfg, data))
    return model, data, measures


def _measures(cfg: DictConfig, model: Loaded) -> tuple[Metric, ...]:
    """The metrics of the run, if trusted, and those requested; of two with one name the latter."""
    kept = model.config.get("metrics")
    own = judged(kept, "metrics", model.file) if kept else OmegaConf.create()
    return make_metrics(OmegaConf.create({**own, **(cfg.get("metrics") or {})}), model.spec)


def _split(cfg: DictConfig, data: DataSet) -> Arrays:
    parts = {"test": data.test, "val": data.val, "train": data.train}
    arrays = parts[cfg.split]
    if arrays is None:
        raise UsageError("this run held nothing out for validation", "split=val", "use split=test or split=train")
    return arrays
