"""Provenance of a run (data fingerprint, hashes of user code, package versions), and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmx.errors import UsageError
from bmx.runs import result as results
from bmx.runs.provenance import versions
from bmx.runs.source_code import installed, own_code

# The meaning of a data set's marks, in order: see bmx.data.pipeline.fingerprint.
_PARTS = ("what the samples are", "the training inputs", "the training targets", "the test inputs", "the test targets")
# Packages whose version may affect the last digits of results; the others do not.
_COMPUTE = ("bmx", "torch", "lightning", "numpy", "python")


def origin(config: Any, data: str, marks: Sequence[str]) -> dict[str, Any]:
    """The provenance of a run, in plain containers.

    Args:
        config: the resolved configuration, in plain containers.
        data: the name of the data set.
        marks: of the data set, the last one its fingerprint.
    """
    known = versions()
    return {
        "data": {"name": data, "marks": list(marks)},
        "code": own_code(config),
        "versions": {name: known[name] for name in _COMPUTE if known.get(name)} | installed(config),
    }


def origin_of(run: Path) -> dict[str, Any]:
    """The provenance recorded in a run's result; empty where there is none."""
    try:
        result = results.read(run)
    except UsageError:
        return {}
    data = result.get("data") or {}
    mark = data.get("fingerprint")
    return {
        **({"data": {"name": data.get("name"), "marks": [mark]}} if mark else {}),
        **({"code": result["code"]} if result.get("code") else {}),
        "versions": {name: version for name, version in (result.get("versions") or {}).items() if name in _COMPUTE},
    }


@dataclass(frozen=True)
class Changes:
    """Changes since a run was made, each as a clause.

    Attributes:
        data: of the data set.
        code: of the user's modules.
        layout: modules in which nothing but comments and layout changed.
        versions: of packages that affect results.
    """

    data: str = ""
    code: str = ""
    layout: str = ""
    versions: str = ""

    def __bool__(self) -> bool:
        return bool(self.lines())

    def lines(self) -> list[str]:
        """All of them."""
        return [line for line in (self.data, self.code, self.layout, self.versions) if line]


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Changes:
    """Compares two provenances; entries that either lacks are not compared."""
    return Changes(
        _data(before.get("data") or {}, now.get("data") or {}),
        _code(before, now, "code", "the code of {} has changed"),
        _code(before, now, "text", "comments or layout of {} have changed, the code has not"),
        _versions(before.get("versions") or {}, now.get("versions") or {}),
    )


def _data(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = list(before.get("marks") or ()), list(now.get("marks") or ())
    if not old or not new or old[-1] == new[-1]:
        return ""
    said = f"the data have changed: {now.get('name')} has the fingerprint {new[-1]}, it had {old[-1]}"
    if len(old) == len(new) == len(_PARTS):
        first = next(part for part, one, other in zip(_PARTS, old, new, strict=True) if one != other)
        said += f"; the first difference is in {first}"
    return said


def _code(before: Mapping[str, Any], now: Mapping[str, Any], kind: str, said: str) -> str:
    old, new = before.get("code") or {}, now.get("code") or {}
    changed = []
    for name in sorted(old.keys() & new.keys()):
        other_code = old[name].get("code") != new[name].get("code")
        other_text = old[name].get("text") != new[name].get("text")
        if other_code if kind == "code" else other_text and not other_code:
            changed.append(name)
    return said.format(", ".join(changed)) if changed else ""


def _versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    other = [f"{name} {before[name]}, now {now[name]}" for name in before if name in now and before[name] != now[name]]
    return f"made with {'; '.join(other)}: the last digits may differ" if other else ""
