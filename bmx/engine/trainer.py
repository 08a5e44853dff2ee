"""Subclass of Lightning's Trainer that records which callback set ``should_stop``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


@dataclass(frozen=True)
class StopAsked:
    """The callback that stopped a run early.

    Attributes:
        callback: the callback.
        hook: its hook that did.
    """

    callback: Callback
    hook: str

    @property
    def reason(self) -> str:
        """``EarlyStopping: Monitored metric val/loss did not improve in the last 3 records.``"""
        said = str(getattr(self.callback, "stopping_reason_message", None) or "").partition(" Signaling Trainer")[0]
        return f"{type(self.callback).__name__}: {said or f'it set trainer.should_stop in {self.hook}'}"


class RunTrainer(pl.Trainer):
    """A Trainer whose ``should_stop`` records its setter.

    Attributes:
        stop_asked: the callback that set it first; None if none did, or bmx itself.
    """

    stop_asked: StopAsked | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # Lightning's own handler of SIGTERM waits, where there are several ranks, until all have been sent one.
        self._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]

    _should_stop = False

    @property
    def received_sigterm(self) -> bool:
        """Always False: bmx stops between two steps itself, after saving; Lightning would exit before that."""
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
    """The callback on the call stack, if any."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Callback):
            return StopAsked(owner, frame.f_code.co_name)
        frame = frame.f_back
    return None
