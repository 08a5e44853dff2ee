"""Resolves references to runs, such as ``latest``, to absolute paths that stay valid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bmx.errors import UsageError
from bmx.runs import result
from bmx.runs.best_job import is_sweep
from bmx.runs.finding import find, holds_model, holds_run, is_there, named, newest_first, trained

LATEST = "latest"
# The key of a teacher, for which distilled runs are skipped.
_TEACHES = "teacher"


def pinned(
    value: str, outputs: Path, key: str, sweeps: bool = True, told: Callable[[Path, Path], None] | None = None
) -> str:
    """Resolves a value to a directory or file; an unresolvable value is returned as it is, for a check to explain.

    Args:
        value: ``latest``, an id, a path, or anything else.
        outputs: the folder of the runs.
        key: the configuration key of the value.
        sweeps: whether ``latest`` may be a sweep, which means its best job.
        told: called with a sweep and the job that is taken for it.
    """
    if value == LATEST and key == _TEACHES:
        value = _latest_teacher(outputs)
    if not means_run(value):
        return value
    if is_there(path := Path(value).expanduser()) and path.is_file():
        return str(path.resolve())
    try:
        return str(find(value, outputs, sweeps=sweeps, tell=told).resolve())
    except UsageError:
        return value


def means_run(value: str) -> bool:
    """Whether a value names a run rather than an option: ``latest``, an id (they begin with a date), a path."""
    if value == LATEST or value[:1].isdigit() or "/" in value or value.endswith(".ckpt"):
        return True
    path = Path(value)
    # A folder that happens to have the name of an option does not count.
    return is_there(path) and (path.is_file() or holds_run(path))


def names_sweep(value: str, outputs: Path) -> bool:
    """Whether an id or a path is that of a sweep, which stands for its best job."""
    try:
        return value != LATEST and is_sweep(named(value, outputs))
    except UsageError:  # a file, or a mistake that a check explains
        return False


def _latest_teacher(outputs: Path) -> str:
    """The newest run usable as a teacher: neither a distilled student nor a student trained alone for comparison."""
    for run in newest_first(outputs, ("train", "compress", "sweep")):
        try:
            if (holds_model(run) and result.read(run).get("role") != "student alone") or trained(run):
                return str(run)
        except UsageError:
            continue
    return LATEST
