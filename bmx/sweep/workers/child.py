"""Setup of a job's process: process group, output, and its share of cores and devices."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict

from bmx.files.output import write_into


class Spec(TypedDict):
    """The task of a process, in plain values.

    ``call`` is ``module:function``, called with ``arguments``; the integer it returns is the exit code. Output goes
    to the file ``log``.
    """

    call: str
    arguments: list[Any]
    log: str
    env: dict[str, str]
    threads: int


def run(spec: Spec) -> int:
    """Executes a spec and returns the exit code; raises nothing."""
    try:
        _settle(spec)
        module, _, name = spec["call"].partition(":")
        code = getattr(import_module(module), name)(*spec["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    return int(code or 0)


def leave(code: int) -> None:
    """Ends the process now: exit handlers run, but objects are not freed one by one."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def _settle(spec: Spec) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    write_into(Path(spec["log"]))
    os.environ.update(spec["env"])
    # A run sets its own rank variables; those of the process that started the sweep do not apply.
    for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    if spec["threads"]:
        # Read when OpenMP is loaded, which in a forked job has happened; torch's own count is set too.
        os.environ["OMP_NUM_THREADS"] = str(spec["threads"])
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(spec["threads"])


def main() -> None:
    """``python -m bmx.sweep.workers.child PARENT`` with the spec on standard input: a job in a fresh process."""
    import json

    from bmx.sweep.workers.process_group import die_with_parent

    die_with_parent(int(sys.argv[1]))
    spec = json.loads(sys.stdin.read())
    # sys.argv as modules see it, and the name in the process list.
    sys.argv = ["bmx", *map(str, spec["arguments"][0])] if spec["arguments"] else ["bmx"]
    leave(run(spec))


if __name__ == "__main__":
    main()
