"""Compound runs, which contain other runs: the stages of a pipeline, the trials of a search."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bmx.engine.device import use_cpu
from bmx.engine.prepare import Prepared
from bmx.errors import Interrupted
from bmx.export.reading import Loaded
from bmx.runs import result as results
from bmx.runs.directory import create
from bmx.runs.recording import recorded
from bmx.verbs.compress.parent import since_then
from bmx.verbs.recording.fit_facts import run_facts
from bmx.verbs.recording.run_data import tell


def compound_run(
    prepared: Prepared,
    verb: str,
    parent: Loaded,
    run_dir: Path | None,
    make: Callable[[Path], dict[str, Any]],
    quiet: bool = True,
) -> tuple[dict[str, Any], Path]:
    """Runs a compound run and returns its result, which is also in result.json, and its directory.

    Args:
        prepared: the configuration.
        verb: names the folder of the run directory.
        parent: the model it starts from.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        make: runs the inner runs inside the directory and returns the fields of the result.
        quiet: print nothing.
    """
    cfg = prepared.cfg
    name = str(cfg.name or verb)
    run_dir = run_dir or create(Path(cfg.outputs), verb, name)
    told = since_then(prepared, parent)
    tell(told, quiet)
    facts = {**run_facts(prepared, use_cpu(cfg.trainer.threads)), "parent": str(parent.file), "changes": told}
    before = _seconds_before(run_dir)
    facts |= {"seconds": {"total": before}} if before else {}
    with suppress(Interrupted, KeyboardInterrupt), recorded(run_dir, verb, name, before, **facts) as run:
        run.keep(cfg)
        run.outcome = make(run_dir)
    return run.result, run_dir


def _seconds_before(run_dir: Path) -> float:
    """Seconds that the run took before it was interrupted; a killed process has not recorded them."""
    found = results.read(run_dir) if (run_dir / results.RESULT).exists() else {}
    return float((found.get("seconds") or {}).get("total") or 0.0)


def inner_run(where: Path, make: Callable[[bool], dict[str, Any]]) -> dict[str, Any]:
    """The result of a run inside a compound one: the existing one, or that of ``make``.

    Args:
        where: its directory.
        make: runs it; its argument is whether there is something to resume.

    Raises:
        Interrupted: it was stopped.
    """
    found = results.read(where) if (where / results.RESULT).exists() else {}
    if found.get("status") != "done":
        begun = where.exists()
        where.mkdir(parents=True, exist_ok=True)
        found = make(begun)
    if found.get("status") != "done":
        raise Interrupted(str(found.get("reason") or "stopped"))
    return found
