"""Training that was left with sys.exit() is told with its line, whoever left it."""

import sys

import pytest
from pytorch_lightning.callbacks import Callback

from bmx.engine.callback_errors import explained
from bmx.errors import RunFailed, UsageError


class Leaves(Callback):
    def on_train_start(self, trainer, pl_module):
        leave(4)


def leave(code):
    sys.exit(code)


def test_by_something_else_than_a_callback():
    with pytest.raises(SystemExit) as left:
        leave(3)
    told = explained(left.value, [Callback()])
    assert isinstance(told, RunFailed) and told.what == "the training was left with sys.exit()"
    assert "test_callback_errors.py, line 18, in leave" in told.where and "raise an error" in told.fix


def test_by_a_callback_the_callback_is_named():
    callback = Leaves()
    with pytest.raises(SystemExit) as left:
        callback.on_train_start(None, None)
    told = explained(left.value, [callback])
    assert told is not None and told.what == "the callback Leaves left with sys.exit(4)"
    assert "trainer.should_stop" in told.fix


def test_what_is_told_already_and_what_is_nobodys():
    assert explained(UsageError("a", "b", "c"), []) is None
    assert explained(ValueError("a"), [Leaves()]) is None
