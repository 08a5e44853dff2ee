"""Forwards the log messages of Lightning's callbacks: model summaries, reasons for stopping, checkpoint paths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning.callbacks

log = logging.getLogger("bmx.train")

_FOLDER = str(Path(pytorch_lightning.callbacks.__file__).parent)


class _Hearing(logging.Handler):
    """Forwards records logged by Lightning's callback modules; warnings take their usual way."""

    def __init__(self, say: Callable[[str], None], logger: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self.say = say
        self.before = list(logger.handlers)
        self.parent = logger.parent if logger.propagate else None

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            for handler in self.before:
                handler.handle(record)
            if self.parent is not None:
                self.parent.handle(record)
        elif record.pathname.startswith(_FOLDER):
            text = record.getMessage().strip("\n")
            self.say(text)
            log.info("%s", text)


@contextmanager
def heard(say: Callable[[str], None]) -> Iterator[None]:
    """Context manager that prints INFO messages of Lightning's callbacks as bmx's own notes."""
    logger = logging.getLogger("pytorch_lightning")
    hearing, level, propagate = _Hearing(say, logger), logger.level, logger.propagate
    logger.handlers, logger.propagate = [hearing], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = hearing.before, propagate
        logger.setLevel(level)
