"""What went wrong, where, and what to do: the errors a user meets, and the exit code of each."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Options that a message lists; of a thousand classes it would be no message.
_LISTED = 40


class BmxError(Exception):
    """An error that is told to the user in three lines and without a traceback.

    Args:
        what: the fact, in one line: "no word 'lenet6' in the group 'model'".
        where: the argument, file or key it was found in.
        fix: what to do about it; the nearest words, the command to type.
    """

    exit_code = 1

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def lines(self) -> list[str]:
        """The message as it is printed, at most three lines."""
        return [
            f"bmx: {self.what}",
            *([f"  where: {self.where}"] if self.where else []),
            *([f"  do:    {self.fix}"] if self.fix else []),
        ]


class UsageError(BmxError):
    """The command was wrong: nothing was started and nothing was written."""

    exit_code = 2


class RunFailed(BmxError):
    """The run began and could not go on."""

    exit_code = 1


class Interrupted(BmxError):
    """The run was stopped from outside, by Ctrl-C or SIGTERM; what it had is kept."""

    exit_code = 130


_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not become so large here",
    errno.EROFS: "the disk is mounted read-only",
}
# What writers in C++ and Rust make of them: torch's zip writer counts bytes that never arrived.
_NO_ROOM_IN_WORDS = re.compile(
    r"unexpected pos \d+ vs \d+|file write failed|failed writing file|No space left on device|os error (?:28|122|27)\b"
)


def no_room(error: BaseException, where: Path | str = "") -> RunFailed | None:
    """What to say where a write failed for want of room, whoever wrote; None for any other error.

    Args:
        error: with its causes.
        where: what was written, where the error does not name a file itself.
    """
    link: BaseException | None = error
    while link is not None:
        what = _NO_ROOM.get(link.errno or 0, "") if isinstance(link, OSError) else ""
        if not what and not isinstance(link, BmxError) and _NO_ROOM_IN_WORDS.search(str(link)):
            what = _NO_ROOM[errno.ENOSPC]
        if what:
            named = link.filename if isinstance(link, OSError) else None
            fix = "make room, or choose a folder on another disk with outputs=; what was written before is kept"
            return RunFailed(what, str(named or where), fix)
        link = link.__cause__ or link.__context__
    return None


def nearest(word: str, options: Iterable[str], most: int = 3) -> list[str]:
    """The options that look most like ``word``, best first; empty if none is near."""
    known = list(dict.fromkeys(options))
    close = difflib.get_close_matches(word, known, most, cutoff=0.5)
    starts = [o for o in known if word and o.startswith(word) and o not in close]
    return (close + starts)[:most]


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A sentence that names the nearest options, or all of them where none is near."""
    known = list(options)
    close = nearest(word, known)
    if close:
        return f"did you mean {' or '.join(repr(c) for c in close)}?"
    if not known:
        return "there is nothing to choose from"
    more = f", … ({len(known):,} in all)" if len(known) > _LISTED else ""
    return f"choose one of: {', '.join(known[:_LISTED])}{more}"
