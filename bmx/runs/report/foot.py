"""Live status area at the bottom of the terminal (the foot), redrawn below permanent output."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections.abc import Sequence
from typing import Any

from bmx.runs.report.folding import folded, width_of
from bmx.runs.report.signs import charset, is_unicode, spelled

_USUAL = 80
_NO_CURSOR = ("", "dumb", "unknown")


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):  # closed, or no stream at all
        return False


def moves(stream: Any) -> bool:
    """Whether a stream is a terminal whose cursor can be moved; ``TERM=dumb`` has none."""
    return is_terminal(stream) and os.environ.get("TERM", "") not in _NO_CURSOR


def colours(stream: Any) -> bool:
    """Whether colours may be used; see https://no-color.org."""
    return moves(stream) and not os.environ.get("NO_COLOR")


def columns(stream: Any) -> int:
    """The columns of a terminal as it is now; it may be resized at any time."""
    return terminal_size(stream)[0]


def terminal_size(stream: Any) -> tuple[int, int]:
    """Columns and lines of the terminal behind a stream."""
    try:
        wide, high = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        wide, high = 0, 0
    return wide or _USUAL, high or 24  # a terminal that was told no size says 0


class Voice(io.TextIOBase):
    """Wrapper of standard output or error that writes above the foot, wrapped between words.

    Lines longer than the terminal is wide are folded between words; signs that it cannot show are spelled out. Where
    the output goes to a pipe or a file, only the signs are.

    Attributes:
        stream: where it goes.
        verbatim: write everything unchanged, for output that programs read.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.charset = charset(stream)
        self.verbatim = False
        self._terminal = is_terminal(stream)
        # Where UTF-8 can be written, though the locale has none, a name in a file keeps its letters.
        self._whole = self._terminal or not is_unicode(str(getattr(stream, "encoding", None) or "utf-8"))
        self._rest = ""

    @property
    def needed(self) -> bool:
        """Whether anything would be done to what is written."""
        return self._terminal or not is_unicode(self.charset)

    def write(self, text: str) -> int:
        if not self._terminal:
            FOOT.give_way()
            self.stream.write(text if self.verbatim else spelled(text, self.charset, self._whole))
            return len(text)
        whole, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            FOOT.above(self, self._laid_out(whole) + "\n")
        return len(text)

    def _laid_out(self, text: str) -> str:
        if self.verbatim:
            return text
        width = columns(self.stream)
        lines = spelled(text, self.charset, self._whole).split("\n")
        return "\n".join(part for line in lines for part in folded(line, width))

    def flush(self) -> None:
        if self._rest and not FOOT.shown:
            text, self._rest = self._rest, ""
            FOOT.begun = True
            self.stream.write(text if self.verbatim else spelled(text, self.charset, self._whole))
        self.stream.flush()

    def end(self) -> None:
        """Write buffered text."""
        if self._rest:
            self.write("\n")

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self.stream.encoding)

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.stream.errors

    def __getattr__(self, name: str) -> Any:
        if name == "stream":
            raise AttributeError(name)
        return getattr(self.stream, name)


class Foot:
    """Draws and erases the lines of the foot.

    The cursor rests where the foot begins. A terminal that is made narrower, and lays its lines out anew, takes it
    along: from there to the end of the screen everything is the foot's, however many rows it has become.

    Attributes:
        talks: whether :meth:`say` says anything: on the command line it does.
        begun: whether a line that stays has been begun and not ended.
    """

    def __init__(self) -> None:
        self.talks = self.begun = False
        self._lines: list[str] = []
        self._drawn = 0
        self._passing = False
        self._stream: Any = None
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it

    @property
    def shown(self) -> bool:
        """Whether a foot is drawn."""
        return bool(self._drawn)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in the place of the ones before; what does not fit into the terminal is left out."""
        with self._lock:
            self._stream = self._stream or _bottom()
            if self._stream is None:
                return
            self._lines, self._passing = list(lines), False
            self._show()

    def say(self, text: str) -> None:
        """What is being done, in a line that goes when anything else is written."""
        if not self.talks:
            return
        with self._lock:
            self.draw([f"{text} ..."])
            self._passing = True

    def clear(self) -> None:
        """Wipe the foot."""
        with self._lock:
            if self._stream is not None:
                self._wipe()
            self._lines, self._stream = [], None

    def give_way(self) -> None:
        """Erase a transient status line, since something is written elsewhere."""
        if self._drawn and self._passing:
            self.clear()

    def above(self, voice: Voice, text: str) -> None:
        """Write whole lines above the foot."""
        with self._lock:
            self.give_way()
            self._wipe()
            voice.stream.write(text)
            self.begun = False
            if self._lines:
                voice.stream.flush()
                self._show()

    def _show(self) -> None:
        stream = self._stream.stream
        wide, high = terminal_size(stream)
        shown = [_cut(spelled(line, self._stream.charset), wide - 1) for line in self._lines[: max(1, high - 1)]]
        if not shown:
            self._wipe()
            return
        if self.begun:
            stream.write("\n")
            self.begun = False
        below = max(0, self._drawn - len(shown))
        text = "\r" + "\n".join(f"\x1b[2K{line}" for line in shown) + "\n\x1b[2K" * below + "\x1b[J"
        stream.write(text + "\x1b[1A" * (len(shown) + below - 1) + "\r")
        stream.flush()
        self._drawn = len(shown)

    def _wipe(self) -> None:
        if not self._drawn:
            return
        stream, more = self._stream.stream, self._drawn - 1
        stream.write("\r\x1b[2K" + "\n\x1b[2K" * more + "\x1b[J" + "\x1b[1A" * more + "\r")
        stream.flush()
        self._drawn = 0


def _cut(line: str, width: int) -> str:
    """The line without the words that do not fit."""
    if width_of(line) <= width:
        return line
    first = folded(line, max(1, width))[0]
    if width_of(first) > width:  # one word, longer than the terminal is wide
        return ""
    return first + ("\x1b[0m" if "\x1b" in first else "")


def _bottom() -> Voice | None:
    """Where the foot is drawn: on the terminal that standard output is, or standard error, and output no pipe.

    A pager at the other end of a pipe has the terminal to itself.
    """
    listen()
    if isinstance(sys.stdout, Voice) and is_terminal(sys.stdout):
        return sys.stdout if moves(sys.stdout) else None
    if isinstance(sys.stderr, Voice) and moves(sys.stderr) and not _is_pipe(sys.stdout):
        return sys.stderr
    return None


def _is_pipe(stream: Any) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False


def read_by_programs() -> None:
    """Print everything from now on verbatim."""
    if isinstance(sys.stdout, Voice):
        sys.stdout.verbatim = True


def listen() -> None:
    """Put a :class:`Voice` before standard output and standard error, where there is a terminal or no UTF-8."""
    found = [(name, getattr(sys, name)) for name in ("stdout", "stderr")]
    made = [(name, stream, Voice(stream)) for name, stream in found if not isinstance(stream, Voice) and stream]
    seen = any(is_terminal(stream) for _, stream in found)
    for name, stream, voice in made:
        if hasattr(stream, "write") and (voice.needed or seen):
            setattr(sys, name, voice)


FOOT = Foot()
"""The one foot of this process."""
