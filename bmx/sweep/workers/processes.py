"""Starts the processes of jobs: forked from a fork server, or each in a new interpreter."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bmx.sweep.workers.child import Spec
from bmx.sweep.workers.process_group import kill_group

# Besides the verb itself: what a job imports during its run, most of it on the first optimiser step.
PRELOAD = (
    "bmx.engine.fast_import:import_lightning",
    "torch._dynamo",
    "rich.console",
    "rich.progress",
    "rich.table",
    "hydra.main",
    "hydra._internal.hydra",
    "hydra._internal.utils",
    "hydra.core.override_parser.overrides_parser",
    "hydra.utils",
    "bmx.__main__:preload",
    "bmx.data.mnist_5k",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "bmx.runs.report.plots",
)


@dataclass
class Process:
    """A started job.

    Attributes:
        number: of the request.
        pid: its process and its process group; None until it is known.
        code: the exit code, negative for a signal; None while it runs.
        peak: its peak memory, bytes.
    """

    number: int
    pid: int | None = None
    code: int | None = None
    peak: int | None = None

    def signal(self, number: int) -> None:
        """Signals the job and all its child processes."""
        if self.pid is not None and self.code is None:
            kill_group(self.pid, number)


class Starter(Protocol):
    """Starts processes and detects their ends."""

    def start(self, spec: Spec) -> Process: ...

    def wait(self, seconds: float) -> None: ...

    def close(self) -> None: ...


class Nursery:
    """Forks jobs from a fork server that has imported everything; see :mod:`bmx.sweep.workers.forkserver`.

    Args:
        modules: what to import besides ``preload``.
        preload: what to import first: torch, Lightning, and what every job imports during its run.
    """

    def __init__(self, modules: tuple[str, ...] = (), preload: tuple[str, ...] = PRELOAD) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._processes: dict[int, Process] = {}
        self._unread = b""
        self._next = 0
        self.ready = False
        self.broken = False
        self._server = serve(theirs, [*preload, *modules])
        theirs.close()

    def start(self, spec: Spec) -> Process:
        """Forks a job. It waits until the imports are done."""
        process = Process(self._next)
        self._next += 1
        self._processes[process.number] = process
        try:
            self._channel.sendall(json.dumps({"number": process.number, "spec": spec}).encode() + b"\n")
        except OSError:
            self._lost()
        return process

    def wait(self, seconds: float) -> None:
        """Processes events; returns early when there is one."""
        if self.broken:
            time.sleep(seconds)
            return
        ready, _, _ = select.select([self._channel], [], [], seconds)
        if not ready:
            return
        try:
            chunk = self._channel.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            self._lost()
            return
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if answer.get("ready"):
                self.ready = True
                continue
            process = self._processes[answer["number"]]
            process.pid = answer.get("pid", process.pid)
            if "code" in answer:
                process.code, process.peak = int(answer["code"]), answer.get("peak")
                del self._processes[process.number]

    def close(self) -> None:
        """Ends the fork server and with it every running job."""
        self._channel.close()
        if not self.ready:  # still importing: it has no jobs
            self._server.kill()
        for process in self._processes.values():
            process.signal(signal.SIGTERM)
        try:
            self._server.wait(15)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _lost(self) -> None:
        """Handles a killed fork server: the kernel has killed its jobs, which a new process can run again."""
        self.broken = True
        for process in self._processes.values():
            if process.code is None:
                process.signal(signal.SIGKILL)
                process.code = -signal.SIGKILL
        self._processes.clear()


def serve(channel: socket.socket, modules: list[str]) -> subprocess.Popen[bytes]:
    """Starts the process of a fork server at the other end of a channel."""
    return subprocess.Popen(
        [sys.executable, "-m", "bmx.sweep.workers.forkserver", str(channel.fileno()), str(os.getpid()), *modules],
        pass_fds=(channel.fileno(),),
        stdin=subprocess.DEVNULL,
        # Its own session: the parent handles a terminal's Ctrl-C and hang-up.
        start_new_session=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry)),
    )


class Fresh:
    """Starts every job in a new interpreter: a few seconds more for each, and nothing shared."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[Process, subprocess.Popen[bytes]]] = {}
        self._next = 0
        self.broken = False

    def start(self, spec: Spec) -> Process:
        """Starts a job."""
        server = subprocess.Popen(
            [sys.executable, "-m", "bmx.sweep.workers.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
                **spec["env"],
                **({"OMP_NUM_THREADS": str(spec["threads"])} if spec["threads"] else {}),
            },
        )
        assert server.stdin is not None
        server.stdin.write(json.dumps(spec).encode())
        server.stdin.close()
        process = Process(self._next, server.pid)
        self._next += 1
        self._running[process.number] = (process, server)
        return process

    def wait(self, seconds: float) -> None:
        """Processes events; returns early when there is one."""
        deadline = time.monotonic() + seconds
        while True:
            ended = False
            for process, server in list(self._running.values()):
                code = server.poll()
                if code is not None:
                    kill_group(server.pid, signal.SIGKILL)
                    process.code, ended = code, True
                    del self._running[process.number]
            left = deadline - time.monotonic()
            if ended or left <= 0:
                return
            time.sleep(min(0.02, left))

    def close(self) -> None:
        """Ends every running job."""
        for process, _ in self._running.values():
            process.signal(signal.SIGTERM)
        self.wait(0)
        deadline = time.monotonic() + 10
        while self._running and time.monotonic() < deadline:
            self.wait(0.1)
        for process, server in self._running.values():
            process.signal(signal.SIGKILL)
            server.wait()
        self._running.clear()


class Later:
    """Lazy starter: starts nothing until the first job, so that a sweep with nothing left to do imports nothing.

    Args:
        make: creates the actual starter.
    """

    def __init__(self, make: Callable[[], Starter]) -> None:
        self._make = make
        self._made: Starter | None = None

    @property
    def broken(self) -> bool:
        """Whether the actual starter can start no further job."""
        return bool(getattr(self._made, "broken", False))

    def start(self, spec: Spec) -> Process:
        """Starts a job."""
        if self._made is None:
            self._made = self._make()
        return self._made.start(spec)

    def wait(self, seconds: float) -> None:
        """Processes events."""
        if self._made is None:
            time.sleep(seconds)
        else:
            self._made.wait(seconds)

    def close(self) -> None:
        """Ends every running job."""
        if self._made is not None:
            self._made.close()


def make_starter(fork: bool | str, modules: tuple[str, ...] = ()) -> Nursery | Fresh:
    """Creates the starter: a fork server where a process that holds torch can fork, else a new interpreter per job.

    Args:
        fork: true, false, or ``auto``.
        modules: imported once for all jobs, besides torch and Lightning.
    """
    wanted = sys.platform == "linux" if fork == "auto" else bool(fork)
    return Nursery(modules) if wanted and hasattr(os, "fork") else Fresh()
