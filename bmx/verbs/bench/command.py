"""bmx bench: the cost of models on this machine, side by side, measured in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.checked import Checked, prepared_for
from bmx.config.engine_words import calibrated
from bmx.config.python_validation import conforming
from bmx.engine.device import device_name, resolve, use_cpu
from bmx.errors import UsageError
from bmx.export import engines
from bmx.runs.directory import create
from bmx.runs.recording import recorded
from bmx.runs.report import bench as report
from bmx.targets.standing import with_its_trust
from bmx.verbs.bench import models as subjects
from bmx.verbs.bench.measuring import Ruler, measure
from bmx.verbs.recording.chosen_words import chosen_facts
from bmx.verbs.recording.run_data import tell, what_changed


@conforming("bench")
@with_its_trust
def check(cfg: DictConfig) -> Checked[bool]:
    """Checks that the measurement can be made, without writing anything.

    Raises:
        UsageError: nothing to measure, an unknown engine, a package that is missing, an impossible batch size.
    """
    return Checked(cfg, _sound(cfg))


def _sound(cfg: DictConfig) -> bool:
    resolve(str(cfg.device), "32-true")
    engines.check(_engines(cfg))
    _batch_sizes(cfg)
    subjects.check(cfg)
    return True


@conforming("bench")
@with_its_trust
def bench(
    cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False, checked: Checked[bool] | None = None
) -> dict[str, Any]:
    """Measures models and returns the result, which is also in result.json under ``bench``.

    Args:
        cfg: the composed configuration of ``bmx bench``.
        run_dir: where the result goes; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run.
    """
    prepared_for(cfg, checked, _sound)
    where = resolve(str(cfg.device), "32-true").where
    threads = use_cpu(cfg.threads)
    words, sizes = _engines(cfg), _batch_sizes(cfg)
    models = subjects.subjects(cfg, want_data=bool(cfg.accuracy or calibrated() & set(words)))
    group = OmegaConf.select(cfg, "data")
    told = [f"{m.name}: {line}" for m in models if m.run for line in what_changed(m.loaded, m.data, group)]
    name = str(cfg.name or "bench")
    run_dir = run_dir or create(Path(cfg.outputs), "bench", name)
    facts = {
        **chosen_facts(),
        "parent": models[0].run if len(models) == 1 else None,
        "device": device_name(where),
        "threads": threads,
        "data": {"name": models[0].spec.name},
        "changes": told,
    }
    with recorded(run_dir, "bench", name, **facts) as run:
        tell(told, quiet)
        run.keep(cfg)
        wanted = {"check_memory": bool(cfg.check_memory), "accuracy": bool(cfg.accuracy), "layers": True}
        measured = measure(models, Ruler(words, sizes, float(cfg.seconds), where, **wanted))
        run.outcome = {
            "cost": models[0].cost.to_dict(),
            "metrics": _main_metrics(measured),
            "bench": {"engines": words, "batch_sizes": sizes, "seconds": float(cfg.seconds), "subjects": measured},
        }
    if cfg.plots:
        report.draw(run.result, run_dir / "plots" / "bench.png")
    if not quiet:
        report.show(run.result, run_dir)
    return run.result


def _engines(cfg: DictConfig) -> list[str]:
    named = [str(word) for word in cfg.engines] if OmegaConf.is_list(cfg.engines) else [str(cfg.engines)]
    return list(dict.fromkeys(named))


def _batch_sizes(cfg: DictConfig) -> list[int]:
    sizes = list(cfg.batch_sizes) if OmegaConf.is_list(cfg.batch_sizes) else [cfg.batch_sizes]
    if not sizes:
        raise UsageError("no batch size", "batch_sizes=[]", "write batch_sizes=1,256")
    return list(dict.fromkeys(sizes))


def _main_metrics(measured: list[dict[str, Any]]) -> dict[str, float]:
    """Accuracy, where there is one model and it is known, so that lists of runs show it."""
    of = [engine["metrics"] for engine in measured[0]["engines"] if "metrics" in engine] if len(measured) == 1 else []
    return {f"test/{name}": value for name, value in of[0].items()} if of else {}
