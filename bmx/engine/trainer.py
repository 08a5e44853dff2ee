"""Lightning's Trainer, which remembers who asked it to stop."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


@dataclass(frozen=True)
class StopAsked:
    """Who ended a run early.

    Attributes:
        callback: the callback.
        hook: the function of it.
    """

    callback: Callback
    hook: str

    @property
    def reason(self) -> str:
        """``EarlyStopping: Monitored metric val/loss did not improve in the last 3 records.``"""
        said = str(getattr(self.callback, "stopping_reason_message", None) or "").partition(" Signaling Trainer")[0]
        return f"{type(self.callback).__name__}: {said or f'it set trainer.should_stop in {self.hook}'}"


class RunTrainer(pl.Trainer):
    """A Trainer whose ``should_stop`` tells who set it.

    Attributes:
        stop_asked: who set it first; None if nobody did, or bmx itself.
    """

    stop_asked: StopAsked | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # Lightning's own handler of SIGTERM waits, where there are several ranks, until all have been sent one.
        self._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    _should_stop = False

    @property
    def received_sigterm(self) -> bool:
        """Never: bmx stops between two steps itself, once everything is saved; Lightning would leave before that."""
        return False

    @property
    def should_stop(self) -> bool:
        return self._should_stop

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        if value and not self._should_stop:
            self.stop_asked = _asker()
        self._should_stop = bool(value)


def _asker() -> StopAsked | None:
    """The callback whose code is being run."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Callback):
            return StopAsked(owner, frame.f_code.co_name)
        frame = frame.f_back
    return None
