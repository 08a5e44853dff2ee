"""Fork server of jobs: imports torch and Lightning once, and forks each job.

Reads one JSON object a line on its socket and answers in kind. It is single-threaded, so that the kernel's
death signal, which belongs to the thread that forks, reaches the jobs when it dies. When the socket closes, the client
has died: the jobs are asked to stop, which writes their checkpoints, and are killed if they do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from importlib import import_module
from typing import Any

from bmx.sweep.workers import child
from bmx.sweep.workers.process_group import die_with_parent, kill_group

GRACE = 10.0
"""Seconds that jobs get to write their checkpoints before they are killed."""


class _Nursery:
    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.children: dict[int, int] = {}  # process id -> number of the request
        self.unread = b""
        self.wake, self.alarm = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.alarm, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.alarm, warn_on_full_buffer=False)

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.channel.fileno(), self.wake], [], [], 5.0)
            if self.wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake, 4096)
            self.reap()
            if self.channel.fileno() in ready:
                chunk = self.channel.recv(1 << 16)
                if not chunk:
                    return
                *lines, self.unread = (self.unread + chunk).split(b"\n")
                for line in lines:
                    self.fork(json.loads(line))

    def fork(self, request: dict[str, Any]) -> None:
        me = os.getpid()
        with warnings.catch_warnings():
            # Libraries may have started threads of their own; the ones here survive a fork or start anew.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            die_with_parent(me)
            signal.set_wakeup_fd(-1)
            for descriptor in (self.wake, self.alarm):
                os.close(descriptor)
            self.channel.close()
            arguments = request["spec"]["arguments"]
            sys.argv = ["bmx", *map(str, arguments[0])] if arguments and isinstance(arguments[0], list) else ["bmx"]
            child.leave(child.run(request["spec"]))
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self.children[pid] = request["number"]
        self.say({"number": request["number"], "pid": pid})

    def reap(self) -> None:
        while self.children:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self.children.pop(pid, None)
            if number is not None:
                # Processes that the job has left behind, such as data loading workers.
                kill_group(pid, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(status)
                self.say({"number": number, "code": code, "peak": usage.ru_maxrss * 1024})

    def say(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the client is gone: serve() finds out
            self.channel.sendall(json.dumps(answer).encode() + b"\n")

    def clear(self) -> None:
        """Asks every job to stop, and kills those that do not."""
        for pid in self.children:
            kill_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self.children and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.02)
        for pid in self.children:
            kill_group(pid, signal.SIGKILL)


def warm_up(modules: list[str]) -> None:
    """Imports what every job needs, and makes calls that are faster the second time.

    Args:
        modules: names of modules; of ``module:function:word`` the function is called too, with the word as argument if
            there is one. Errors here are left to the job, which reports them.
    """
    for name in modules:
        with contextlib.suppress(Exception):
            module, _, call = name.partition(":")
            function, _, word = call.partition(":")
            found = import_module(module)
            if function:
                getattr(found, function)(*([word] if word else []))
    with contextlib.suppress(Exception):
        from hydra.core.plugins import Plugins

        Plugins.instance()
    import gc

    gc.collect()
    gc.freeze()  # the collector of a forked job would otherwise copy every page it looks at


def main() -> None:
    """``python -m bmx.sweep.workers.forkserver SOCKET PARENT MODULE ...``"""
    descriptor, parent, *modules = sys.argv[1:]
    # Ctrl-C goes to every process of a terminal; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent's death closes the socket, after which the jobs may still save; the kernel's signal is for elsewhere.
    if os.getppid() != int(parent):
        return
    nursery = _Nursery(socket.socket(fileno=int(descriptor)))
    warm_up(modules)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(0)))
    try:
        nursery.say({"ready": True})
        nursery.serve()
    except (SystemExit, OSError):
        pass
    nursery.clear()
    os._exit(0)


__all__ = ["GRACE", "die_with_parent", "main", "warm_up"]

if __name__ == "__main__":
    main()
