"""Collects and reports problems of a data set, all of them in one error."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from bmx.data.spec import DataSpec
from bmx.errors import UsageError

SPLITS = ("training", "test")
# Number of examples in a message.
EXAMPLES = 3


@dataclass
class Problems:
    """All problems found in a data set, to be reported in one error."""

    found: list[str] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, fix: str) -> None:
        self.found.append(what)
        self.fixes.append(fix)

    def check(self, where: str) -> None:
        """Raises UsageError if there are any problems."""
        if self.found:
            raise UsageError("; ".join(self.found), where, "; ".join(dict.fromkeys(self.fixes)))


def tell_targets(bad: Tensor, targets: Tensor, split: str, what: str, problems: Problems) -> None:
    rows = bad.nonzero().flatten().tolist()
    said = ", ".join(f"row {row}: {targets[row].item():g}" for row in rows[:EXAMPLES])
    is_are = "target is" if len(rows) == 1 else "targets are each"
    fix = "correct these rows or leave them out"
    if what.startswith("no class"):
        fix = "number the classes from 0 and give num_classes = the largest number + 1"
    elif what.startswith("a fraction"):
        fix = "give class numbers, or num_classes=0 for regression"
    problems.add(f"{len(rows):,} {split} {is_are} {what} ({said}{more(len(rows))}, counted from 0)", fix)


def class_name(spec: DataSpec, number: int) -> str:
    """Name of a class in messages: its number, and its label if it has one."""
    label = spec.labels[number] if spec.labels else ""
    return f"{number} ({label})" if label and label != str(number) else str(number)


def absent(spec: DataSpec, present: Tensor, what: str) -> str:
    """Message on missing classes: how many, and the first of them."""
    missing = (~present).nonzero().flatten().tolist()
    named = ", ".join(class_name(spec, number) for number in missing[:EXAMPLES])
    noun = "class is" if len(missing) == 1 else "classes are"
    return f"{len(missing):,} of {len(present):,} {noun} {what}: {named}{more(len(missing))}"


def more(count: int) -> str:
    return ", …" if count > EXAMPLES else ""
