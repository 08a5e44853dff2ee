"""Status of a run, including whether the process that writes it is still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from bmx.runs.locking import is_locked

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> dict[str, Any]:
    """This process so that it can be told from every other: pid, host, boot id, start time in clock ticks."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot(), "born": _born(os.getpid())}


def status(run: Path, result: dict[str, Any]) -> str:
    """The current status of a run: that of its result, except where that is "running".

    A running run whose process is gone is "died"; one on another host, where that cannot be seen, is "running?".
    """
    said = str(result.get("status") or "unknown")
    if said != "running" or is_locked(run):
        return said
    writer = result.get("process") or {}
    if writer.get("host") != socket.gethostname():
        return "running?"
    if writer.get("boot") != _boot() or not _lives(writer):
        return "died"
    return "running"


def _lives(writer: dict[str, Any]) -> bool:
    pid = writer.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process: it exists
        pass
    born = _born(pid)
    # Pids come round again: the same pid with another start time is another process.
    return born is None or writer.get("born") in (None, born)


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _born(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None without a /proc, 0 for one dead but not reaped."""
    try:
        # The second field is the command in brackets and may hold anything; the rest comes after the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
