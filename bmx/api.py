"""Python API: every verb as a function, with the checks of the command line, in the same order.

One call at a time runs in a process: calls from other threads wait. Thread counts, random states, the current folder
and whatever else a run sets in its process are restored when it ends.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, open_dict

from bmx.caller_state import one_run
from bmx.errors import UsageError

if TYPE_CHECKING:
    from bmx.engine.predictor import Predictor


def compose(verb: str, overrides: Iterable[str] = (), config_dir: str | Path | None = None) -> DictConfig:
    """The configuration that ``bmx VERB overrides...`` would run with, named and checked; nothing is written.

    ``resume=RUN`` and runs that are named by ``latest`` or an id are resolved as on the command line.

    Args:
        verb: ``train``, ``evaluate``, ...
        overrides: overrides of the command line, ``["model=cnn", "lr=0.1"]``.
        config_dir: one more config directory, as ``--config-dir``.

    Raises:
        UsageError: an override, key or value that does not exist or is invalid, or an override about how the command
            line runs (``seeds=``, ``-m``, ``hydra.…``), which a configuration does not hold.
    """
    from bmx.cli.run_setup import judge
    from bmx.config import compose as config

    return config.compose(verb, overrides, config_dir, judge)


def train(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Trains the model of ``cfg``, tests its best checkpoint and returns the result, which is also in result.json.

    With ``cfg.resume`` the run that it names is resumed in its own directory. With ``cfg.plan`` nothing is run or
    written: the expected cost is returned.

    Args:
        cfg: the configuration, as ``bmx.compose("train", [...])`` makes it; it is not changed.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run, or ``run_dir`` holds a run already; nothing is written then.
        RunFailed: training could not go on; result.json says ``failed``.
    """
    return _call("train", cfg, run_dir, quiet)


def distill(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Trains a student and returns the result, with the comparison under ``distillation``.

    Teachers that are options of the model group are trained first, each in a run directory of its own.

    Args:
        cfg: the configuration, as ``bmx.compose("distill", [...])`` makes it; it is not changed.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run, or ``run_dir`` holds a run already; nothing is written then.
        RunFailed: a training could not go on; result.json says ``failed``.
    """
    return _call("distill", cfg, run_dir, quiet)


def compress(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Compresses the model of ``cfg.run`` and returns the result, with both models' cost under ``compression``.

    Args:
        cfg: the configuration, as ``bmx.compose("compress", [...])`` makes it; it is not changed.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run, or the budget cannot be met with this model.
        RunFailed: fine-tuning could not go on; result.json says ``failed``.
    """
    return _call("compress", cfg, run_dir, quiet)


def evaluate(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Measures a run's best checkpoint, or an exported file, and returns the result.

    What has changed since the run was made is under ``changes``.

    Args:
        cfg: the configuration, as ``bmx.compose("evaluate", [...])`` makes it; it is not changed.
        run_dir: where the result goes; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run; nothing is written then.
    """
    return _call("evaluate", cfg, run_dir, quiet)


def bench(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Measures what models cost and returns the result, with the measurements under ``bench``.

    Args:
        cfg: the configuration, as ``bmx.compose("bench", [...])`` makes it; it is not changed.
        run_dir: where the result goes; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run; nothing is written then.
    """
    return _call("bench", cfg, run_dir, quiet)


def export(cfg: DictConfig, run_dir: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Writes the model of a run to a file, compares it with the original, and returns the result.

    Args:
        cfg: the configuration, as ``bmx.compose("export", [...])`` makes it; it is not changed.
        run_dir: where the result goes, and the file unless ``cfg.file`` names one; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run; nothing is written then.
        RunFailed: the model cannot be written in this format, or what was written is not the same model.
    """
    return _call("export", cfg, run_dir, quiet)


def load(
    run: str | Path = "latest", outputs: str | Path = "outputs", trust: str | Sequence[str] | None = None
) -> Predictor:
    """The best model of a run, in eval mode on the CPU: raw samples in, logits out.

    Warns where the user's own code that it is built from, or torch, has changed since the run was made.

    Args:
        run: ``latest``, a run directory, a run id, or a model file; exported ones that hold weights too.
        outputs: the folder that holds the run directories.
        trust: modules that the run may load its model from, besides bmx, torch, torchvision and those in the current
            folder: ``my_net``, or a list.

    Raises:
        UsageError: there is no such run, it has no model, or its model is from a module that is not trusted.
    """
    from bmx.config.search_path import extend_sys_path
    from bmx.verbs.load import load as load_run

    with one_run():
        extend_sys_path()
        return load_run(run, Path(outputs).expanduser(), trust)


def _call(verb: str, cfg: DictConfig, run_dir: str | Path | None, quiet: bool) -> dict[str, Any]:
    from bmx.cli.process_state import own_hydra_config
    from bmx.config.checked import handed_on
    from bmx.config.search_path import extend_sys_path
    from bmx.config.verbs import VERBS
    from bmx.targets.entry_point import locate

    entry = VERBS[verb]
    target, check = locate(entry.target), locate(entry.check)
    with one_run(), own_hydra_config():
        extend_sys_path()
        cfg = _settled(verb, cfg, run_dir)
        if entry.preview and cfg.get("plan"):
            found: dict[str, Any] = locate(entry.preview)(cfg, quiet)
            return found
        checked = check(cfg)  # before a directory is created
        result: dict[str, Any] = target(cfg, _place(verb, cfg, run_dir), quiet, **handed_on(checked))
        return result


def _settled(verb: str, cfg: DictConfig, run_dir: str | Path | None) -> DictConfig:
    """A validated copy of the configuration in which runs are directories, checked as on the command line.

    Raises:
        UsageError: the first error found.
    """
    from bmx.config.python_validation import conformed
    from bmx.config.resolve_runs import pin_runs
    from bmx.config.resume import find_run
    from bmx.config.verbs import VERBS

    entry = VERBS[verb]
    _refuse_other(verb, cfg)
    cfg = copy.deepcopy(cfg)
    pin_runs(cfg, entry)
    cfg = conformed(cfg, verb)
    if cfg.get("resume") is None:
        return cfg
    where = f"resume={cfg.resume}"
    run = find_run(str(cfg.resume), verb, lambda: Path(str(cfg.outputs)), where)
    if run_dir is not None and Path(run_dir).resolve() != run:
        fix = "leave run_dir out, or set cfg.resume to None"
        raise UsageError("a run goes on in its own directory", f"run_dir={run_dir}, {where}", fix)
    with open_dict(cfg):
        cfg.resume = str(run)
    return cfg


def _refuse_other(verb: str, cfg: object) -> None:
    """Raises UsageError for an object that is no configuration, or one of another verb."""
    from bmx.config.search_path import root_groups

    fix = f"make it with bmx.compose({verb!r}, [...])"
    if not isinstance(cfg, DictConfig):
        raise UsageError(f"a {type(cfg).__name__} is no configuration", f"bmx.{verb}", fix)
    missing = [key for key in root_groups(verb) if key not in cfg]
    if missing:
        raise UsageError(f"this configuration has no '{missing[0]}', which bmx {verb} needs", f"bmx.{verb}", fix)


def _place(verb: str, cfg: DictConfig, run_dir: str | Path | None) -> Path | None:
    """The requested directory; None where the verb is to create one."""
    from bmx.runs import directory

    resumed = cfg.get("resume")
    if run_dir is None and resumed is None:
        return None
    return directory.claim(Path(resumed or str(run_dir)).expanduser(), resume=resumed is not None)
