"""Traces an error to the line of the user's own code that it went through, if any."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from bmx.files.shown import shown


class CodeLine(NamedTuple):
    """A line of source code: its file, number, enclosing function, and text."""

    file: str
    number: int
    function: str
    text: str

    def __str__(self) -> str:
        within = "" if self.function.startswith("<") or not self.function else f", in {self.function}"
        place = f"{shown(Path(self.file).resolve())}, line {self.number}{within}"
        return f"{place}: {self.text}" if self.text else place


def user_line(error: BaseException) -> CodeLine | None:
    """The innermost line of the user's own code in the tracebacks of an error and its causes; None if there is none.

    The user's own code belongs neither to bmx, nor to Python, nor to an installed package. For a file with a syntax
    error it is the line where the parser stopped.
    """
    link: BaseException | None = error
    seen: list[BaseException] = []
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for cause in reversed(seen):
        if isinstance(cause, SyntaxError) and cause.filename and is_users(cause.filename):
            return CodeLine(cause.filename, cause.lineno or 1, "", (cause.text or "").strip())
        line = _innermost(cause.__traceback__)
        if line is not None:
            return line
    return None


def _innermost(trace: TracebackType | None) -> CodeLine | None:
    found = None
    for frame, number in traceback.walk_tb(trace):
        code = frame.f_code
        if is_users(code.co_filename):
            found = line_of(code.co_filename, number, code.co_name)
    return found


def line_of(file: str, number: int, function: str = "") -> CodeLine:
    """A line of a file with its text, which is empty where the file is unreadable."""
    return CodeLine(file, number, function, linecache.getline(file, number).strip()[:120])


def is_users(file: str) -> bool:
    """Whether a file of Python code is the user's own."""
    if file.startswith("<"):  # made by exec, or of the import system; a notebook's cells are not
        return file.startswith("<ipython-input")
    return not is_installed(Path(file))


def is_installed(path: Path) -> bool:
    """Whether a file or folder belongs to Python, to an installed package, or to bmx."""
    return f"{path.resolve()}/".startswith(_others())


@cache
def _others() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {str(Path(sysconfig.get_paths()[name]).resolve()) for name in names}
    folders |= {
        str(Path(entry).resolve()) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")
    }
    bmx = Path(__file__).resolve().parents[1]
    folders |= {str(bmx), str(bmx.parent / "hydra_plugins"), str(Path(sys.executable).parent)}
    return tuple(f"{folder}/" for folder in sorted(folders))


def described(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first[:200]}" if first else type(error).__name__


def root_cause(error: BaseException) -> BaseException:
    """The error that the others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
