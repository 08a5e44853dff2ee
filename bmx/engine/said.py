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
    """Passes on what the files of Lightning's callbacks log; warnings have their own way to the terminal."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and record.pathname.startswith(_FOLDER):
            text = record.getMessage().strip("\n")
            self.say(text)
            log.info("%s", text)


@contextmanager
def heard(say: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, what callbacks of Lightning's log at the level INFO is said as bmx's own notes are."""
    logger = logging.getLogger("pytorch_lightning")
    hearing, level = _Hearing(say), logger.level
    logger.addHandler(hearing)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(hearing)
        logger.setLevel(level)
