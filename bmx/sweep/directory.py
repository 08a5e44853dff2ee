"""The directory of a sweep: the same command finds the one it made before.

A sweep is identified by its configuration without swept keys, and by the names of those keys: with other values or
more seeds it is the same sweep, extended. ``sweep.json`` in ``outputs/sweep/<name>/<id>/`` records this identity.
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
    """The sweep's directory, and whether it existed before.

    Safe when the same command is started twice at once: one creates the directory, the other finds it.

    Args:
        outputs: the outputs folder.
        name: the name of a new sweep.
        identity: hash that identifies the sweep.
        fresh: create a new one in any case.
    """
    outputs.mkdir(parents=True, exist_ok=True)
    with alone(outputs / "sweep" / ".lock"):
        if not fresh and (before := find(outputs, "identity", identity)):
            return before, True
        made = directory.create(outputs, "sweep", name)
        write(made, {"identity": identity, "name": name})
        return made, False


def find(outputs: Path, key: str, value: str) -> Path | None:
    """The newest sweep with this value in its record; None if there is none."""
    known = (path for path in newest_first(outputs, ("sweep",)) if read(path).get(key) == value)
    return next(known, None)


def read(sweep: Path) -> dict[str, Any]:
    """The record of a sweep; empty if it is unreadable."""
    try:
        found = json.loads((sweep / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(sweep: Path, facts: dict[str, Any]) -> None:
    """Adds to the record of a sweep, atomically."""
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
