"""Reads and atomically writes ``result.json``, the record of a run: status, environment, metrics."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from bmx.errors import RunFailed, UsageError
from bmx.files.atomic import replacing
from bmx.runs.provenance import facts
from bmx.runs.status import this_process
from bmx.runs.utc import iso

__all__ = ["RESULT", "facts", "finish", "read", "start", "write"]

RESULT = "result.json"
STATUSES = ("running", "done", "failed", "interrupted")


def start(run: Path, verb: str, name: str, **fields: Any) -> dict[str, Any]:
    """Write the start of a run: status ``running``, process, versions, machine; return what was written.

    On a run that has a result already, as when it is resumed, its first start is kept and this one added to
    ``resumed``. Raises RunFailed if it cannot be written.
    """
    now = iso()
    written: dict[str, Any] = {"verb": verb, "name": name, "status": "running", "started": now, **fields}
    if (run / RESULT).exists():
        with contextlib.suppress(UsageError):  # unreadable: then this start is the first one known
            before = read(run)
            written["started"] = before.get("started") or now
            written["resumed"] = [*before.get("resumed", []), now]
            told = [*before.get("changes", []), *fields.get("changes", [])]
            written["changes"] = list(dict.fromkeys(told))
    if not written.get("changes"):
        written.pop("changes", None)  # said where there are any
    written |= {"process": this_process(), **facts()}
    write(run, written)
    return written


def finish(run: Path, status: str, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Add status, reason and results to what ``start`` wrote; return the whole.

    Args:
        status: done, failed or interrupted.
        reason: why, in one line, where it is not done.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {status!r}")
    known = read(run) if (run / RESULT).exists() else {}
    known.pop("reason", None)
    # The first lines of the file are what one opens it for.
    head = {key: known.pop(key) for key in ("verb", "name") if key in known} | {"status": status}
    if reason:
        head["reason"] = reason
    whole = {**head, **known, **fields, **head, "finished": iso()}
    write(run, whole)
    return whole


def write(run: Path, result: dict[str, Any]) -> None:
    """Replace the run's result by this one, atomically: a reader sees the old or the new, at any instant.

    Numbers that are not finite become null, and ``not_finite`` lists where they were ("metrics.test/loss"). NumPy and
    torch scalars and arrays become plain numbers and lists, anything else its text.
    Raises RunFailed if the disk is full or cannot be written; the old result is then untouched.
    """
    nulls: dict[str, bool] = {}
    plain = {str(key): _plain(value, str(key), nulls) for key, value in result.items() if key != "not_finite"}
    # A result that was read and is written again holds null where a number was lost; that is still worth telling.
    before = result.get("not_finite") or ()
    lost = [at for at, not_finite in nulls.items() if not_finite or at in before]
    if lost:
        plain["not_finite"] = lost
    path = run / RESULT
    try:
        # Half of a surrogate pair, from an odd file name, has no UTF-8; as a backslash escape it is JSON.
        with replacing(path, errors="backslashreplace") as file:
            file.write(_layout(plain))
    except OSError as error:
        raise RunFailed(
            f"the result could not be written: {(error.strerror or str(error)).lower()}",
            str(path),
            "make room or choose another disk with outputs=; checkpoints and metrics written so far are kept",
        ) from error


def read(run: Path) -> dict[str, Any]:
    """The result of a run; UsageError if there is none or it is not readable."""
    path = run / RESULT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("this run has no result: it never started", str(path), "see all runs: bmx runs list") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the result cannot be read: {error}", str(path), "repeat the run") from error
    if not isinstance(found, dict):
        raise UsageError("the result is not a JSON object", str(path), "repeat the run")
    return found


def _plain(value: Any, at: str, nulls: dict[str, bool]) -> Any:
    """The value as JSON has it; ``nulls`` gathers where a null stands and whether a number was lost there."""
    if value is None:
        nulls[at] = False
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        nulls[at] = True
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{at}.{key}", nulls) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{i}]", nulls) for i, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, at, nulls) for item in value), key=str)
    if hasattr(value, "tolist"):  # NumPy, torch
        return _plain(value.tolist(), at, nulls)
    return str(value)


def _layout(plain: dict[str, Any]) -> str:
    """JSON for people: two levels indented, lists of numbers (a confusion matrix) a row a line."""
    lines = []
    for key, value in plain.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(f"    {_json(k)}: {_rows(v)}" for k, v in value.items())
            lines.append(f"  {_json(key)}: {{\n{inner}\n  }}")
        else:
            lines.append(f"  {_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rows(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"      {_json(row)}" for row in value) + "\n    ]"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
