"""Finds runs: all of an outputs folder, newest first, or one by id, path or ``latest``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bmx.errors import UsageError, did_you_mean, nearest
from bmx.runs import best_job, result, run_id, status

MODEL_VERBS = ("train", "distill", "compress")
MARKS = ("result.json", "config.yaml", "metrics.csv", "checkpoints", ".hydra")


def holds_run(path: Path) -> bool:
    """Whether a directory holds a run, or an incomplete one."""
    return any((path / mark).exists() for mark in MARKS)


def holds_model(run: Path) -> bool:
    """Whether a run holds a model checkpoint."""
    return any((run / "checkpoints" / file).is_file() for file in ("best.ckpt", "last.ckpt"))


def trained(sweep: Path) -> bool:
    """Whether this is a sweep of trainings that has a best model."""
    if best_job.sweeps_over(sweep) != "train":
        return False
    try:
        return holds_model(best_job.best_job(sweep))
    except UsageError:
        return False


def is_there(path: Path) -> bool:
    """Whether a path exists; a name too long for a path does not."""
    try:
        return path.exists()
    except OSError:
        return False


def newest_first(outputs: Path, verbs: Iterable[str] | None = None) -> list[Path]:
    """The directories ``outputs/<verb>/<name>/<id>``, newest first; only names are read, no run is opened.

    A directory whose name is not an id is sorted by its mtime.
    """
    chosen = None if verbs is None else set(verbs)
    found: list[tuple[str, Path]] = []
    for verb in _folders(outputs):
        if chosen is not None and verb.name not in chosen:
            continue
        for name in _folders(verb.path):
            for run in _folders(name.path):
                is_id = run_id.PATTERN.fullmatch(run.name)
                found.append((run.name if is_id else run_id.from_seconds(run.stat().st_mtime), Path(run.path)))
    found.sort(key=lambda item: item[0], reverse=True)
    return [path for _, path in found]


def find(
    run: str,
    outputs: Path,
    verb: str | None = None,
    resumable: bool = False,
    sweeps: bool = True,
    tell: Callable[[Path, Path], None] | None = None,
) -> Path:
    """Resolves the directory of a run; a sweep resolves to its best job.

    Args:
        run: ``latest``; a run directory; a file or folder inside one, such as a checkpoint; or a run's id or any
            beginning of it that is unique.
        outputs: the outputs folder to search.
        verb: look only at runs of this verb.
        resumable: ``latest`` means the newest run that is neither done nor being written; a sweep is left as it is.
        sweeps: whether ``latest`` may be a sweep.
        tell: called with a sweep and the job that is taken for it.

    Without ``verb`` or ``resumable``, ``latest`` is the newest train, distill or compress run that holds a checkpoint,
    or the best job of a sweep of trainings that is newer. (Not of other sweeps: the same command, given again to go on
    with the sweep that it made, would mean another run than before.)
    Raises UsageError with the nearest ids otherwise.
    """
    found = named(str(run).strip(), Path(outputs), verb, resumable, sweeps)
    if resumable or not best_job.is_sweep(found):
        return found
    job = best_job.best_job(found)
    if tell is not None:
        tell(found, job)
    return job


def named(text: str, outputs: Path, verb: str | None = None, resumable: bool = False, sweeps: bool = True) -> Path:
    """As :func:`find`, but a sweep is left as it is."""
    if text == "latest":
        return _latest(outputs, verb, resumable, sweeps)
    if not text:
        raise UsageError("no run was named", "run=", "name a run directory, a run's id, or latest")
    path = Path(text).expanduser()
    inside = _run_around(path)
    if inside is not None:
        return inside
    return _by_id(text, path, outputs, verb)


def _latest(outputs: Path, verb: str | None, resumable: bool, sweeps: bool) -> Path:
    for path in newest_first(outputs, (verb,) if verb else (*MODEL_VERBS, *(("sweep",) if sweeps else ()))):
        if resumable:
            if holds_run(path) and not _finished_or_busy(path):
                return path
        elif holds_run(path) if verb else holds_model(path) or trained(path):
            return path
    if resumable:
        what, fix = "there is no unfinished run to resume", "see all runs: bmx runs list"
    elif verb:
        what, fix = f"there is no {verb} run yet", "see all runs: bmx runs list"
    else:
        what, fix = "there is no run yet that holds a model", "make one: bmx train"
    raise UsageError(what, str(outputs), fix)


def _finished_or_busy(path: Path) -> bool:
    try:
        return status.status(path, result.read(path)) in ("done", "running", "running?")
    except UsageError:  # stopped before its first result was written
        return False


def _run_around(path: Path) -> Path | None:
    """The run that a path is, or lies inside of (``checkpoints/best.ckpt``)."""
    if not is_there(path):
        return None
    if path.is_dir() and holds_run(path):
        return path
    within = path.absolute()
    for parent in list(within.parents)[:2]:
        # A config.yaml alone may be anyone's, such as that of the project we stand in.
        if (parent / "result.json").exists() or within.parent == parent / "checkpoints":
            return parent if path.is_absolute() else Path(os.path.relpath(parent))
    return None


def _by_id(text: str, path: Path, outputs: Path, verb: str | None) -> Path:
    runs = newest_first(outputs, (verb,) if verb else None)
    exact = [r for r in runs if r.name == text]
    matches = exact or [r for r in runs if r.name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    where = f"run={text}"
    if matches:
        some = ", ".join(str(m) if exact else m.name for m in matches[:3])
        more = f" and {len(matches) - 3:,} more" if len(matches) > 3 else ""
        raise UsageError(f"{text!r} is the beginning of {len(matches):,} runs", where, f"one of: {some}{more}")
    what = f"no run {text!r} in {outputs}"
    if is_there(path):
        what = f"{text!r} is there but holds no run"
    ids = [r.name for r in runs]
    if not ids:
        raise UsageError(what, where, "there is no run yet; make one: bmx train")
    # Comparing with every one of thousands of ids would take seconds; the newest are the likely ones.
    recent = ids[:200]
    fix = did_you_mean(path.name, recent) if nearest(path.name, recent) else f"newest: {', '.join(ids[:3])}"
    raise UsageError(what, where, f"{fix} (all: bmx runs list limit=0)")


def _folders(path: Path | str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except OSError:  # missing, a file, or removed while we look
        return
    for entry in found:
        if not entry.name.startswith(".") and entry.is_dir():
            yield entry
