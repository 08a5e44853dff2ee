"""Reports errors in a user's callback with its file and line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from pytorch_lightning.callbacks import Callback

from bmx.errors import BmxError, RunFailed
from bmx.files.shown import shown
from bmx.targets.blame import line_of


def explained(error: BaseException, callbacks: Sequence[Callback]) -> BmxError | None:
    """The error of a callback as a BmxError; None if it was not in one of ``callbacks``, or is reported already.

    Args:
        error: raised by the training.
        callbacks: the user's.
    """
    if isinstance(error, BmxError):
        return None
    found = _in_callback(error, callbacks)
    if found is None and isinstance(error, SystemExit):
        frame, line = list(_frames(error))[-1]
        where = f"{shown(frame.f_code.co_filename)}, line {line}, in {frame.f_code.co_name}"
        return RunFailed("the training was left with sys.exit()", where, "raise an error there that says what is wrong")
    if found is None:
        return None
    callback, hook, file, line = found
    name, where = type(callback).__name__, str(line_of(file, line, hook))
    if isinstance(error, SystemExit):
        said = "" if error.code is None else repr(error.code)
        fix = "to end a run early set trainer.should_stop = True in the callback"
        return RunFailed(f"the callback {name} left with sys.exit({said})", where, fix)
    first = next((text for text in str(error).splitlines() if text.strip()), "")
    what = f"the callback {name} failed: {type(error).__name__}" + (f": {first[:200]}" if first else "")
    fix = "mend it, or leave it out of trainer.callbacks; log.txt has the traceback"
    return RunFailed(what, where, fix)


def _in_callback(error: BaseException, callbacks: Sequence[Callback]) -> tuple[Callback, str, str, int] | None:
    """The callback whose hook raised the error, the hook, and the innermost line in the hook's file.

    A hook that is a plain function, as LambdaCallback's are, is found by its code object.
    """
    functions = {code: (callback, hook) for callback in callbacks for hook, code in _own_functions(callback)}
    found = None
    for frame, line in _frames(error):
        owner = _owner(frame, callbacks)
        if owner is not None and (found is None or found[0] is owner):
            hook = frame.f_code.co_name if found is None else found[1]
            found = (owner, hook, frame.f_code.co_filename, line)
        elif found is None and frame.f_code in functions:
            found = (*functions[frame.f_code], frame.f_code.co_filename, line)
        elif found is not None and frame.f_code.co_filename == found[2]:
            found = (*found[:3], line)
    return found


def _owner(frame: FrameType, callbacks: Sequence[Callback]) -> Callback | None:
    owner: Any = frame.f_locals.get("self")
    return owner if any(owner is callback for callback in callbacks) else None


def _own_functions(callback: Callback) -> Iterator[tuple[str, Any]]:
    for hook, function in vars(callback).items():
        code = getattr(getattr(function, "func", function), "__code__", None)
        if code is not None:
            yield hook, code


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    yield from traceback.walk_tb(error.__traceback__)
