"""What Lightning's callbacks say: a summary of the model, why a run is stopped, where a checkpoint was written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning.callbacks

log = logging.getLogger("bmx.train")

_FOLDER = str(Path(pytorch_lightning.callbacks.__file__).parent)


class _Hearing(logging.Handler):
    """Passes on what the files of Lightning's callbacks log; warnings go the way that they had."""

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
    """While it lasts, what callbacks of Lightning's log at the level INFO is said as bmx's own notes are."""
    logger = logging.getLogger("pytorch_lightning")
    hearing, level, propagate = _Hearing(say, logger), logger.level, logger.propagate
    logger.handlers, logger.propagate = [hearing], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = hearing.before, propagate
        logger.setLevel(level)
