"""The directory of a sweep: the same command finds the one it made before.

A sweep is known by its configuration without what it sweeps over, and by the keys that it sweeps: with other values
or more seeds it is the same sweep, wider. ``sweep.json`` in ``outputs/sweep/<name>/<id>/`` says which it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bmx.files.atomic import replacing
from bmx.runs import directory, run_id
from bmx.runs.finding import newest_first
from bmx.sweep.job import JOBS
from bmx.sweep.workers.locks import alone

RECORD = "sweep.json"


def find_or_make(outputs: Path, name: str, identity: str, fresh: bool = False) -> tuple[Path, bool]:
    """The sweep's directory, and whether it was there before.

    Safe when the same command is started twice at once: one makes the directory, the other finds it.

    Args:
        outputs: the outputs folder.
        name: what a new sweep is called.
        identity: what makes the sweep itself.
        fresh: make a new one in any case.
    """
    outputs.mkdir(parents=True, exist_ok=True)
    with alone(outputs / "sweep" / ".lock"):
        if not fresh and (before := find(outputs, "identity", identity)):
            return before, True
        made = directory.create(outputs, "sweep", name)
        write(made, {"identity": identity, "name": name})
        return made, False


def find(outputs: Path, key: str, value: str) -> Path | None:
    """The newest sweep of which this is known; None if there is none."""
    known = (path for path in newest_first(outputs, ("sweep",)) if read(path).get(key) == value)
    return next(known, None)


def read(sweep: Path) -> dict[str, Any]:
    """What is known of a sweep; empty if nothing can be read."""
    try:
        found = json.loads((sweep / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(sweep: Path, facts: dict[str, Any]) -> None:
    """Add to what is known of a sweep, atomically."""
    whole = read(sweep) | facts
    with replacing(sweep / RECORD) as file:
        file.write(json.dumps(whole, indent=2, ensure_ascii=False, default=str) + "\n")


def earlier_jobs(outputs: Path, key: str, but: Path) -> list[Path]:
    """The directories of a job in other sweeps, newest sweep first."""
    found = [path / JOBS / key for path in newest_first(outputs, ("sweep",)) if path.resolve() != but.resolve()]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def shown_id(sweep: Path) -> str:
    """The sweep's id if it has one, else its path."""
    return sweep.name if run_id.PATTERN.fullmatch(sweep.name) else str(sweep)
