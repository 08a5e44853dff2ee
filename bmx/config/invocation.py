"""What one call of a composed verb is about, shared by the launcher, Hydra's callback and the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmx.config.request import Asked
from bmx.config.verbs import VERBS, Verb


@dataclass
class Invocation:
    """One call: what was asked for, and what became of it."""

    asked: Asked
    config_dir: str | None = None
    config_path: str | None = None
    debug: bool = False
    pid: int = 0
    """The process that dispatches; jobs of some launchers run in others."""
    argv: tuple[str, ...] = ()
    """``sys.argv`` as the user typed it, which is what a job sees."""
    composed: bool = False
    """Whether the configuration came together, so that what goes wrong later is not the command's fault."""
    sweeps: bool = False
    """Whether many jobs are run."""
    run_dir: Path | None = None
    """The directory that was made for one run."""
    sweep_dir: Path | None = None
    """The directory that was made for them."""
    plan: Any = None
    """What a sweep of bmx's own is going to do, a :class:`Plan` of the room above."""
    checked: Any = None
    """What the verb's check returned of one run, for the run itself."""
    codes: list[int] = field(default_factory=list)
    """The exit code of each job that ended in this process."""
    failed: list[str] = field(default_factory=list)
    """The directories of the jobs among them that failed."""

    def __getstate__(self) -> dict[str, object]:
        """For launchers that send a job elsewhere: the plan's processes and what was loaded stay here."""
        return {**self.__dict__, "plan": None, "checked": None}

    @property
    def verb(self) -> Verb:
        """The entry of the verb."""
        return VERBS[self.asked.verb]


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """The call that this code runs in; None outside of the command line."""
    return _current.get()


@contextmanager
def running(invocation: Invocation) -> Iterator[None]:
    """While it lasts, ``current`` is this call."""
    token = _current.set(invocation)
    try:
        yield
    finally:
        _current.reset(token)
