"""The command line that reproduces a run, printed to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence

Judge = Callable[[str, Sequence[str], Sequence[str]], Collection[str]]
"""Maps a verb, its flags and its overrides to the keys that a single command rejects, since they have no effect.

An override of a sweep need not have an effect in each of its jobs.
"""


class _Judges:
    judge: Judge = staticmethod(lambda verb, flags, words: ())


def provide(judge: Judge) -> None:
    """Register the function that finds overrides without effect; called by the command-line parser."""
    _Judges.judge = staticmethod(judge)


def command(verb: str, flags: Sequence[str], words: Sequence[str]) -> str:
    """The command line, as a shell takes it.

    Args:
        verb: ``train``, ``compress``, ...
        flags: such as ``--config-dir=...``.
        words: overrides of a job; those without effect in a single command are left out.
    """
    idle = _Judges.judge(verb, flags, words)
    kept = [word for word in words if word.partition("=")[0].lstrip("+") not in idle]
    return shlex.join(["bmx", verb, *flags, *kept])
