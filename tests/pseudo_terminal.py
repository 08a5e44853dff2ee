"""Commands in a terminal: ``bmx ...`` with a pseudo-terminal for its standard streams, and the screen it leaves.

The processes are forked as those of :mod:`tests.warm_process` are. A locale is told by its environment variables; what
Python itself makes of it at its start is the server's.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.screen import Screen
from tests.warm_process import CONTEXT, become

LONG = 240
"""Seconds after which something is taken to hang; nothing depends on how busy the machine is."""
_USUAL: dict[str, str | None] = {
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
    **dict.fromkeys(("LC_ALL", "LC_CTYPE", "NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")),
}


class Session:
    """A command that runs in a terminal.

    Args:
        process: of the command.
        master: the terminal, at the end where people sit.
        screen: what they see.

    Attributes:
        raw: every byte that came, as text.
    """

    def __init__(self, process: Any, master: int, screen: Screen) -> None:
        self.screen = screen
        self.raw = ""
        self._process, self._master = process, master
        self._unread = b""

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        code = self._process.exitcode
        return None if code is None else int(code)

    def resize(self, columns: int) -> None:
        """Change the width while the command runs; it is told by SIGWINCH, as by a real terminal."""
        self.read(0)
        set_size(self._master, columns, self.screen.rows)
        self.screen.resize(columns)

    def wait_for(self, text: str) -> None:
        """Go on until a text is on the screen."""
        self._until(lambda: text in self.screen.text, repr(text))

    def more_lines(self, number: int) -> None:
        """Go on until so many more lines are on the screen."""
        most = len(self.screen.seen()) + number
        self._until(lambda: len(self.screen.seen()) >= most, f"{number} more lines")

    def finish(self) -> int:
        """Go on until the command has ended; its exit code."""
        self._until(lambda: self.code is not None, "its end")
        while self.read(0.05):
            pass
        assert self.code is not None
        return self.code

    def press(self, keys: str) -> None:
        """Type something: ``\\x03`` is Ctrl-C."""
        os.write(self._master, keys.encode())

    def send(self, number: int) -> None:
        """A signal, to the process alone."""
        os.kill(self._process.pid, number)

    def _until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LONG
        while not true():
            if self.code is not None and not self.read(0.05) and not true():
                raise AssertionError(f"ended with {self.code} before {what}:\n{self.screen.text}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for {what}:\n{self.screen.text}")
            self.read(0.1)

    def read(self, seconds: float) -> bool:
        """Take in what has been written; whether anything was."""
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError:  # the last one to hold the other end has closed it
            time.sleep(min(seconds, 0.05))
            return False
        whole = self._unread + chunk
        text = whole.decode("utf-8", "ignore")
        rest = len(whole) - len(text.encode())
        self._unread = whole[-rest:] if 0 < rest < 4 else b""
        self.raw += text
        self.screen.feed(text)
        return bool(chunk)


@contextmanager
def terminal(
    *words: object,
    folder: Path,
    columns: int = 80,
    rows: int = 24,
    env: Mapping[str, str | None] | None = None,
    reflows: bool = True,
    pipe: int | None = None,
) -> Iterator[Session]:
    """A ``bmx`` command in a terminal.

    Args:
        words: after ``bmx``.
        folder: where it runs.
        columns: of the terminal.
        rows: of the terminal.
        env: what is set besides ``TERM=xterm-256color`` and a UTF-8 locale; None takes a variable away.
        reflows: whether the terminal lays lines out anew when it is resized.
        pipe: a descriptor that standard output goes to; the terminal has standard error alone then. The test may close
            its own once the command runs.
    """
    master, slave = pty.openpty()
    set_size(master, columns, rows)
    merged = {**os.environ, **_USUAL, **(env or {})}
    given = {name: value for name, value in merged.items() if value is not None}
    out = None if pipe is None else f"/proc/{os.getpid()}/fd/{pipe}"
    begun, mine = CONTEXT.Pipe(duplex=False)
    arguments = ([str(word) for word in words], str(folder), given, os.ttyname(slave), out, mine)
    process = CONTEXT.Process(target=_child, args=arguments)
    process.start()
    mine.close()
    session = Session(process, master, Screen(columns, rows, reflows))
    try:
        assert begun.recv()
        os.close(slave)
        yield session
    finally:
        if session.code is None:
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        begun.close()
        os.close(master)


def in_terminal(*words: object, folder: Path, **how: Any) -> Session:
    """A command in a terminal, to its end."""
    with terminal(*words, folder=folder, **how) as session:
        session.finish()
    return session


def set_size(descriptor: int, columns: int, rows: int) -> None:
    """Tell a terminal its size."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _child(words: list[str], folder: str, env: dict[str, str], name: str, out: str | None, begun: Any) -> None:
    become(words, folder, env, lambda: _connected(name, out, begun))


def _connected(name: str, out: str | None, begun: Any) -> tuple[Any, Any, Any]:
    """The terminal as the three standard streams, and as what Ctrl-C comes from."""
    descriptor = os.open(name, os.O_RDWR)
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(descriptor, number)
    os.close(descriptor)
    if out:
        descriptor = os.open(out, os.O_WRONLY)
        os.dup2(descriptor, 1)
        os.close(descriptor)
    begun.send(True)
    begun.close()
    return (
        open(0, encoding="utf-8", closefd=False),
        open(1, "w", buffering=-1 if out else 1, encoding="utf-8", closefd=False),
        open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False),
    )
