"""`bmx ...` in a process of its own that begins in a tenth of a second instead of five.

The processes are forked from a server that has imported everything once and never computed anything. Each has
its own arguments, folder, environment, terminal session, standard streams and exit code, so that a test sees what a
user sees; only what Python reads before it imports anything (PYTHONPATH, the encoding of the locale) is the server's.
Whoever tests these, or the start-up itself, starts `python -m bmx` with subprocess.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import cpu_seconds, warm_nursery

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


class Command:
    """A command line of bmx that runs.

    Args:
        words: after ``bmx``.
        folder: where it stands.
        env: environment variables, on top of those of the test; None takes one away.
        pipe: a descriptor that its standard output goes to; the test may close its own once the command runs.
        first: called in the process before bmx is; of the top level of a module.
    """

    def __init__(
        self,
        *words: object,
        folder: Path,
        env: Mapping[str, str | None] | None = None,
        pipe: int | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        self._files = [Path(tempfile.mkstemp(prefix=f"bmx-{name}-")[1]) for name in ("out", "err")]
        merged = {**os.environ, **(env or {})}
        given = {name: value for name, value in merged.items() if value is not None}
        outputs = [str(file) for file in self._files]
        if pipe is not None:
            outputs[0] = f"/proc/{os.getpid()}/fd/{pipe}"
        arguments = ([str(word) for word in words], str(folder), given, outputs, first)
        self._process = CONTEXT.Process(target=_child, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process, which leads a session of its own."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def said(self) -> tuple[str, str]:
        """What it has written to its standard output and error so far."""
        out, err = (file.read_text(errors="replace") for file in self._files)
        return out, err

    def send(self, number: int) -> None:
        """A signal, to the process alone."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 600) -> Done:
        """Waits for its end.

        Raises:
            TimeoutError: it does not come.
        """
        self._process.join(seconds)
        code = self._process.exitcode
        out, err = self.said()
        if code is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError(f"it did not end within {seconds} s; it said: {out[-2000:]}{err[-2000:]}")
        for file in self._files:
            file.unlink()
        return Done(code, out, err)


def bmx(*words: object, folder: Path, seconds: float = 600, **how: Any) -> Done:
    """Runs ``bmx words`` in ``folder`` to its end."""
    return Command(*words, folder=folder, **how).wait(seconds)


def _child(words: list[str], folder: str, env: dict[str, str], files: list[str], first: Any) -> None:
    def streams() -> tuple[Any, Any, Any]:
        if first is not None:
            first()
        return _streams(files)

    become(words, folder, env, streams)


def become(words: list[str], folder: str, env: dict[str, str], streams: Callable[[], tuple[Any, Any, Any]]) -> None:
    """Be the command, and end.

    Args:
        words: after ``bmx``.
        folder: where it stands.
        env: its environment.
        streams: opens its standard streams, in the session that it leads.
    """
    from bmx.sweep.workers.child import leave

    os.setsid()
    stand(folder, env)
    sys.stdin, sys.stdout, sys.stderr = streams()
    sys.argv = ["bmx", *words]
    if "sweep" in words[:2] or {"-m", "--multirun"} & set(words):
        warm_nursery.keep_one()
    try:
        from bmx.cli.main import run

        run()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    cpu_seconds.report()
    leave(code if isinstance(code, int) else int(code is not None))


def stand(folder: str, env: Mapping[str, str]) -> None:
    """Take a folder, an environment and the signals of a process that has just been started."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    # As `import_lightning` does, which is over here: the profiler reads it when it is used.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    time.tzset()
    os.chdir(folder)
    if "torch" in sys.modules and env.get("OMP_NUM_THREADS", "").isdigit():
        sys.modules["torch"].set_num_threads(int(env["OMP_NUM_THREADS"]))


def _streams(files: list[str]) -> tuple[Any, Any, Any]:
    """Files, opened as Python opens its streams at its start."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for descriptor, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
    return (
        open(0, closefd=False),
        open(1, "w", encoding="utf-8", errors="strict", closefd=False),
        open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False),
    )
