"""The command that makes a run once more, as it is printed to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence

Judge = Callable[[str, Sequence[str], Sequence[str]], Collection[str]]
"""From a verb, its flags and its words to the keys of those words that a single command refuses, since they do nothing.

A word of a sweep need not have an effect in each of its jobs.
"""


class _Judges:
    judge: Judge = staticmethod(lambda verb, flags, words: ())


def provide(judge: Judge) -> None:
    """Say what finds words without effect; whoever reads command lines does."""
    _Judges.judge = staticmethod(judge)


def command(verb: str, flags: Sequence[str], words: Sequence[str]) -> str:
    """The command line, as a shell takes it.

    Args:
        verb: ``train``, ``compress``, ...
        flags: such as ``--config-dir=...``.
        words: of a job; those that would do nothing in a command of its own are left out.
    """
    idle = _Judges.judge(verb, flags, words)
    kept = [word for word in words if word.partition("=")[0].lstrip("+") not in idle]
    return shlex.join(["bmx", verb, *flags, *kept])
