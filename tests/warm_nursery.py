"""Sweeps in tests fork their jobs from a nursery that is forked itself, from a process that has imported everything.

It does what ``python -m bmx.sweep.workers.forkserver`` does, whose imports take five seconds of processor time.
Tests of the nursery's own process (tests/sweep/workers/test_pool.py, those of whole process trees) start that.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bmx.sweep.workers import forkserver, processes
from tests import cpu_seconds

real = processes.serve


class Server:
    """A forked process, as ``subprocess.Popen`` shows one that was started."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def wait(self, seconds: float | None = None) -> int:
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("nursery", seconds or 0.0)
        return int(self._process.exitcode)

    def kill(self) -> None:
        self._process.kill()


def fork(channel: socket.socket, modules: list[str]) -> Any:
    """Stands for ``bmx.sweep.workers.processes.serve`` in the process of the tests."""
    from tests.warm_process import CONTEXT

    arguments = (channel, modules, str(Path.cwd()), dict(os.environ), list(sys.path))
    process = CONTEXT.Process(target=_become, args=arguments)
    process.start()
    return Server(process)


class _Kept:
    """A child that waits to be the nursery of a command, and ends with it."""

    exitcode: int | None = None

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            said, descriptors, _, _ = socket.recv_fds(theirs, 1 << 20, 1)
            if not descriptors:
                os._exit(0)
            theirs.close()
            asked = json.loads(said)
            _become(
                socket.socket(fileno=descriptors[0]), asked["modules"], asked["folder"], asked["env"], asked["path"]
            )
        theirs.close()

    def serve(self, channel: socket.socket, modules: list[str]) -> Any:
        processes.serve = real  # type: ignore[assignment]
        asked = {"modules": modules, "folder": str(Path.cwd()), "env": dict(os.environ), "path": sys.path}
        socket.send_fds(self.channel, [json.dumps(asked).encode()], [channel.fileno()])
        return Server(self)

    def join(self, seconds: float | None) -> None:
        deadline = time.monotonic() + (seconds if seconds is not None else 3600)
        while self.exitcode is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exitcode = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def keep_one() -> None:
    """Has a forked command, before it does anything, keep a copy of its process for the nursery that it will want."""
    processes.serve = _Kept().serve  # type: ignore[assignment]


def _become(channel: socket.socket, modules: list[str], folder: str, env: dict[str, str], path: list[str]) -> None:
    from tests.warm_process import stand

    if os.getsid(0) != os.getpid():
        os.setsid()
    stand(folder, env)
    sys.path[:] = path
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    leave = os._exit

    def end(code: int) -> None:
        if os.getpid() == me:
            cpu_seconds.report()
        leave(code)

    me, os._exit = os.getpid(), end  # type: ignore[assignment]
    sys.argv = ["nursery", str(channel.detach()), str(os.getppid()), *modules]
    forkserver.main()
    end(1)  # whoever asked was gone
