"""Context manager that records a run: lock, start, and end as done, failed or interrupted, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import BmxError, Interrupted
from bmx.files.atomic import replacing
from bmx.runs import result as results
from bmx.runs import stop_signals
from bmx.runs.locking import lock
from bmx.targets.blame import described, user_line

CONFIG = "config.yaml"


@dataclass
class Recording:
    """A run in progress.

    Attributes:
        run: its directory.
        outcome: fields of result.json when it is done.
        so_far: returns the fields of result.json for a run that fails or is interrupted.
        postscript: returns a text to append to the reason of an interrupted run.
        result: the whole of result.json, once it has ended.
    """

    run: Path
    outcome: dict[str, Any] = field(default_factory=dict)
    so_far: Callable[[], dict[str, Any]] = dict
    postscript: Callable[[], str] = str
    result: dict[str, Any] = field(default_factory=dict)

    def keep(self, cfg: DictConfig) -> None:
        """Writes the configuration of the run, every interpolation resolved."""
        with replacing(self.run / CONFIG) as file:
            file.write(OmegaConf.to_yaml(cfg, resolve=True))

    def end(self, error: BaseException) -> None:
        """Records why the run has no outcome; nothing where it has been discarded, as for an invalid command."""
        if not (self.run / results.RESULT).exists():
            return
        if isinstance(error, Interrupted | KeyboardInterrupt):
            status, why = "interrupted", (str(error) or f"stopped by {stop_signals.CTRL_C}") + self.postscript()
        else:
            status, why = "failed", _why(error)
        self.result = results.finish(self.run, status, why, **self.so_far())


@contextmanager
def recorded(run: Path, verb: str, name: str, spent: float = 0.0, **facts: Any) -> Iterator[Recording]:
    """Locks the run directory and sets the status ``running`` in result.json; records the end at exit.

    ``outcome`` is written when it ends; a stop signal is raised as Interrupted wherever nothing else handles it.
    Errors are raised again once they are recorded.

    Args:
        run: the run directory.
        verb: of the run.
        name: of the run.
        spent: seconds that it took before it was stopped.
        facts: more for result.json from the start.

    Raises:
        UsageError: another process is writing the run.
    """
    with lock(run), stop_signals.handled(_raise):
        results.start(run, verb, name, **facts)
        began = time.perf_counter()

        def seconds() -> dict[str, Any]:
            return {"seconds": {"total": spent + time.perf_counter() - began}}

        recording = Recording(run, so_far=seconds)
        try:
            yield recording
            recording.result = results.finish(run, "done", **{**seconds(), **recording.outcome})
        except BaseException as error:
            recording.end(error)
            if isinstance(error, _Stop):
                raise Interrupted(str(error)) from None
            raise


class _Stop(KeyboardInterrupt):
    """A stop signal; not an Exception, so that code which catches errors and goes on does not catch it."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise _Stop(stop_signals.reason(number))


def _why(error: BaseException) -> str:
    """Why a run failed, with the failing line of the user's code."""
    if isinstance(error, BmxError):
        return f"{error.what} ({error.where})" if ", line " in error.where else error.what
    line = user_line(error) if isinstance(error, Exception) else None
    return described(error) if line is None else f"{described(error)} ({line})"
