"""bmx export: exports a trained model to a file and verifies that it computes the same outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from bmx.config.checked import Checked, prepared_for
from bmx.config.formats import formats
from bmx.config.python_validation import conforming
from bmx.data.pipeline.prepare import DataSet
from bmx.engine.predictor import Predictor
from bmx.engine.warm_start import model_file
from bmx.errors import RunFailed, UsageError, no_room
from bmx.export import writing
from bmx.export.comparison import ExportComparison, compare
from bmx.export.description import Description, describe
from bmx.export.graph import in_float32
from bmx.export.reading import Loaded, load
from bmx.runs.directory import create
from bmx.runs.recording import recorded
from bmx.runs.report import summary
from bmx.targets.standing import with_its_trust
from bmx.verbs.recording.chosen_words import chosen_facts
from bmx.verbs.recording.run_data import data_for, tell, what_changed


@conforming("export")
@with_its_trust
def check(cfg: DictConfig) -> Checked[tuple[Loaded, DataSet]]:
    """Checks that the export can be made, without writing anything; returns the loaded parts for the run.

    Raises:
        UsageError: no such run or format, a package that is missing, or data that cannot be loaded for the comparison.
    """
    return Checked(cfg, _loaded(cfg))


def _loaded(cfg: DictConfig) -> tuple[Loaded, DataSet]:
    writing.check(str(cfg.format), str(cfg.preprocessing))
    ending = formats()[str(cfg.format)].suffix
    if cfg.file is not None and not Path(cfg.file).name.endswith(ending):
        fix = f"write file={Path(cfg.file).with_suffix(ending)}"
        raise UsageError(f"the name of this file is to end in {ending}", f"file={cfg.file}", fix)
    model = load(model_file(str(cfg.run), Path(cfg.outputs)))
    _predictor(model)
    return model, data_for(cfg, model.spec, model.config, model.file)


@conforming("export")
@with_its_trust
def export(
    cfg: DictConfig,
    run_dir: Path | None = None,
    quiet: bool = False,
    checked: Checked[tuple[Loaded, DataSet]] | None = None,
) -> dict[str, Any]:
    """Writes the model of a run to a file, reads it back, compares both on the test set, and returns the result.

    The file gets its name once it has passed; a JSON file next to it describes its inputs and outputs.

    Args:
        cfg: the composed configuration of ``bmx export``.
        run_dir: where the result goes, and the file unless ``cfg.file`` names one; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        checked: what ``check`` returned for this configuration.

    Raises:
        UsageError: the configuration cannot run.
        RunFailed: the model cannot be written in this format, or the file computes other outputs.
    """
    model, data = prepared_for(cfg, checked, _loaded)
    told = what_changed(model, data, OmegaConf.select(cfg, "data"))
    name = str(cfg.name or model.config.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), "export", name)
    target = Path(cfg.file) if cfg.file is not None else run_dir / f"model{formats()[str(cfg.format)].suffix}"
    facts = {
        **chosen_facts(),
        "parent": str(model.file),
        "data": {"name": data.spec.name, "fingerprint": data.fingerprint, "test": len(data.test)},
        "changes": told,
    }
    with recorded(run_dir, "export", name, **facts) as run:
        tell(told, quiet)
        run.keep(cfg)
        description, compared, needs = _write(cfg, model, data, target)
        run.outcome = {
            "metrics": {f"test/{metric}": value for metric, value in compared.exported.items()},
            "cost": {**description.cost, "bytes": target.stat().st_size},
            "export": {
                "file": str(target),
                "format": str(cfg.format),
                "preprocessing": str(cfg.preprocessing),
                "original_bytes": description.cost["bytes"],
                "needs": needs,
                **compared.to_dict(),
            },
        }
    if not quiet:
        summary.show(run.result, run_dir)
    return run.result


def _write(
    cfg: DictConfig, model: Loaded, data: DataSet, target: Path
) -> tuple[Description, ExportComparison, str | None]:
    """Writes to a temporary name, compares, and then renames; returns what the file needs of a processor too."""
    format, predictor = str(cfg.format), _predictor(model)
    if not formats()[format].of_weights:
        predictor = in_float32(predictor)
    raw_dtype = data.test.batch(torch.arange(1))[0].dtype
    description = describe(predictor, str(cfg.preprocessing), raw_dtype, model.cost().to_dict())
    unchecked = target.with_name(f".unchecked-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writing.write(format, predictor, description, unchecked)
        compared = compare(predictor, load(unchecked).model, data.test, model.spec)
        tolerance = float(cfg.tolerance)
        needs = writing.require_same(format, compared, predictor, unchecked, data.test, tolerance, str(target))
        beside = {**description.for_people(), **({"needs": needs} if needs else {}), "compared": compared.to_dict()}
        text = json.dumps(beside, indent=2, ensure_ascii=False) + "\n"
        target.with_suffix(".json").write_text(text, encoding="utf-8")
        unchecked.replace(target)
    except Exception as error:
        # Writers in C++ and Rust raise their own errors for a full disk.
        full = no_room(error, target)
        if full is None and not isinstance(error, OSError):
            raise
        reason = full.what if full else getattr(error, "strerror", None) or error
        fix = "write it elsewhere with file=, or make room"
        raise RunFailed(f"the file cannot be written: {reason}", str(target), fix) from error
    finally:
        unchecked.unlink(missing_ok=True)
    return description, compared, needs


def _predictor(model: Loaded) -> Predictor:
    if not isinstance(model.model, Predictor):
        fix = "export the run that it was made from: run=<run directory>"
        what = f"a {formats()[model.format].suffix} file is a finished graph and cannot be exported"
        raise UsageError(what, f"run={model.file}", fix)
    return model.model
