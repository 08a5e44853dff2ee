"""State of one invocation of a composed verb, shared by the launcher, Hydra's callback and the jobs."""

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
    """One invocation of a verb: the request, its directories, and the outcome of its jobs."""

    asked: Asked
    config_dir: str | None = None
    config_path: str | None = None
    debug: bool = False
    pid: int = 0
    """The process that dispatches; some launchers run jobs in others."""
    argv: tuple[str, ...] = ()
    """``sys.argv`` as the user typed it, restored in a job."""
    composed: bool = False
    """Whether the configuration was composed, so that later errors are not errors of the command."""
    sweeps: bool = False
    """Whether many jobs are run."""
    run_dir: Path | None = None
    """The directory created for a single run."""
    sweep_dir: Path | None = None
    """The directory created for many runs."""
    plan: Any = None
    """The plan of bmx's own sweep, a :class:`bmx.sweep.plan.Plan` (not imported from this layer)."""
    checked: Any = None
    """What the verb's check returned for a single run, for the run itself."""
    codes: list[int] = field(default_factory=list)
    """The exit code of each job that ended in this process."""
    failed: list[str] = field(default_factory=list)
    """The directories of the jobs among them that failed."""

    def __getstate__(self) -> dict[str, object]:
        """Pickled state, for launchers that send a job elsewhere: without the plan's processes and loaded objects."""
        return {**self.__dict__, "plan": None, "checked": None}

    @property
    def verb(self) -> Verb:
        """The entry of the verb."""
        return VERBS[self.asked.verb]


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """The invocation that this code runs in; None outside of the command line."""
    return _current.get()


@contextmanager
def running(invocation: Invocation) -> Iterator[None]:
    """Context in which ``current`` returns this invocation."""
    token = _current.set(invocation)
    try:
        yield
    finally:
        _current.reset(token)
