"""The daily knobs: what each may be, said in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from bmx.cli.near import either, near

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true")


class Knob(NamedTuple):
    """What a knob takes: ``says`` in words, ``accepts`` as a test, ``words`` to complete and to suggest."""

    says: str
    accepts: Callable[[Any], bool]
    words: tuple[str, ...] = ()
    example: str = ""


def _whole(least: int, most: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _rate(value: Any) -> bool:
    return value == "auto" or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf)


def _size(value: Any) -> bool:
    return value in ("full", "auto") or _whole(1)(value)


def _device(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value) is not None


KNOBS: Mapping[str, Knob] = {
    "lr": Knob("a number greater than 0, or auto", _rate, ("auto",), "0.01"),
    "epochs": Knob("a whole number, 1 or more", _whole(1), (), "10"),
    "batch_size": Knob("a whole number, 1 or more, full or auto", _size, ("full", "auto"), "100"),
    "seed": Knob("a whole number from 0 to 4294967295", _whole(0, 2**32 - 1), (), "0"),
    "device": Knob("auto, cpu, cuda, cuda:N or mps", _device, ("auto", "cpu", "cuda", "mps"), "cpu"),
    "precision": Knob(f"one of {', '.join(PRECISIONS)}", lambda v: v in PRECISIONS, PRECISIONS, "32-true"),
    "name": Knob("a word that names a folder", lambda v: isinstance(v, (str, int, float)) and str(v) != "", (), "mine"),
    "outputs": Knob("a folder", lambda v: isinstance(v, str) and v != "", (), "outputs"),
}


def complaint(
    key: str, value: Any, nullable: tuple[str, ...] = ("name",), least: Mapping[str, int] = MappingProxyType({})
) -> tuple[str, str] | None:
    """What is wrong with a knob's value and what to do, or None if nothing is; other keys are never wrong.

    ``least`` names whole numbers that may be smaller for this verb than elsewhere: 0 epochs of fine-tuning.
    """
    knob = KNOBS.get(key)
    if key in least:
        knob = Knob(f"a whole number, {least[key]} or more", _whole(least[key]), (), str(least[key]))
    if knob is None or (value is None and key in nullable) or knob.accepts(value):
        return None
    shown = "null" if value is None else repr(value)
    meant = [] if value is None else near(str(value), knob.words)
    fix = either(meant, f"{key}={{}}") or f"write {key}={knob.example}"
    return f"{key} must be {knob.says}, not {shown}", fix
