"""Creates run directories, ``outputs/<verb>/<name>/<id>/``, each made once and never reused.

``create`` costs the same however many runs there are: it reads one small file (see ``stamp``) and lists nothing.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from bmx.errors import UsageError
from bmx.runs import run_id
from bmx.runs.finding import MARKS, find, holds_run
from bmx.runs.locking import RunLock, is_locked, lock
from bmx.runs.names import folder_name

__all__ = ["RunLock", "claim", "create", "find", "holds_run", "is_locked", "lock"]


# Files that a run may have written before its command turns out to be invalid.
_OWN = (*MARKS, ".lock", "log.txt", "plots", "tensorboard")


def create(outputs: Path, verb: str, name: str) -> Path:
    """Make the directory of a new run, ``outputs/<verb>/<name>/<id>``, by one atomic mkdir.

    Safe with any number of processes creating at once. Ids are UTC times that never move back, so that the newest run
    has the greatest id in the whole outputs folder. ``name`` is made into a safe folder name.
    Raises UsageError where nothing can be made there.
    """
    folder = Path(outputs) / verb / folder_name(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            run = folder / run_id.issue(Path(outputs))
            try:
                run.mkdir()
            except FileExistsError:  # only where .clock was lost or cannot be locked: the next tick is free
                continue
            return run
    except OSError as error:
        raise _cannot_make(folder, error) from error


def claim(path: Path, resume: bool = False) -> Path:
    """Take a directory that the user named for a run; created if it is missing.

    Raises UsageError if it already holds a run, unless ``resume``; and where it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_make(path, error) from error
    if not resume and holds_run(path):
        raise UsageError(
            "this directory already holds a run, which would be overwritten",
            str(path),
            f"name another directory, or go on with it: resume={path}",
        )
    return path


def discard(run: Path) -> None:
    """Remove the directory of a run that did not begin, and parent folders that become empty.

    Files in it that are not the run's stay, as in a user's folder that was named for the run.
    """
    for name in _OWN:
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # something else is in there
        for folder in (run, run.parent, run.parent.parent):
            folder.rmdir()


def _cannot_make(path: Path, error: OSError) -> UsageError:
    reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror or str(error)
    return UsageError(f"no run directory can be made here: {reason}", str(path), "choose another folder with outputs=")
