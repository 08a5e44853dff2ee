"""Reads a declaration anew, in the plainest way, to judge values by: what is written is what is meant."""

from __future__ import annotations

import math
import re

from bmx.config.engine_words import engine_words
from bmx.config.formats import formats

NUMBER = r"-?[\d.]+(?:e-?\d+)?"
TEXTS = ("text", "name", "path", "folder", "run", "layer", "word")


# Words that are found and not written in a declaration.
FOUND = {"format": formats, "engine": engine_words}


def takes(declares: str, value: object) -> bool:
    """Whether a key that is declared so takes a value that is typed so."""
    said = declares.partition(", such as ")[0]
    return any(_takes(part, value) for part in said.split(" or "))


def _takes(part: str, value: object) -> bool:
    if part.startswith("list of "):
        counted = re.match(r"list of (\d+) ", part)
        item = part[counted.end() :] if counted else part.removeprefix("list of ")
        values = value if isinstance(value, list) else [value]
        right = (counted is None or len(values) == int(counted[1])) and value is not None
        return right and all(_takes(item, one) for one in values)
    if isinstance(value, (list, dict)):
        return isinstance(value, dict) and (part == "map" or (part == "target" and "_target_" in value))
    if part == "null":
        return value is None
    if value is None:
        return False
    if part == "bool":
        return isinstance(value, bool) or (type(value) is int and value in (0, 1)) or value in ("on", "off")
    if part in ("true", "false"):
        return str(value).lower() == part
    if part == "class":
        return (isinstance(value, str) and bool(value)) or (type(value) is int and value >= 0)
    if part in FOUND:
        return value in FOUND[part]()
    if part in TEXTS:
        return value != ""
    if part.startswith("one of "):
        return str(value) in part.removeprefix("one of ").split(", ")
    if part == "device":
        return value in ("auto", "cpu", "cuda", "cuda:1", "mps")
    if part == "time":
        return value in ("30s", "10min")
    kind, _, limits = part.partition(" ")
    if kind not in ("int", "float", "count"):
        return value == part
    if type(value) is float and kind != "float" and not (kind == "count" and value.is_integer()):
        return False
    return type(value) in (int, float) and math.isfinite(value) and _within(limits, value)  # type: ignore[arg-type]


def _within(limits: str, value: float) -> bool:
    if not limits:
        return True
    if limits.startswith("in "):
        low, high = (float(number) for number in re.findall(NUMBER, limits))
        above = value >= low if limits[3] == "[" else value > low
        return above and (value <= high if limits.endswith("]") else value < high)
    sign, number = limits.split()
    return {">=": value >= float(number), ">": value > float(number)}[sign]
