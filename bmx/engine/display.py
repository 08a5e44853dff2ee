"""Progress display of a training run: a permanent line per epoch and a live progress bar."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import Protocol

from bmx.metrics.standard import named
from bmx.runs.report import numbers
from bmx.runs.report.foot import FOOT, colours, columns, is_terminal, moves

Row = dict[str, float | int | str]


class Display(Protocol):
    """Interface of a progress display; every call is cheap."""

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None: ...

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """Shows nothing: for other ranks, and callers from Python."""

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None: ...

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class PlainDisplay:
    """A plain line per epoch, for pipes, files and sweeps."""

    def __init__(self) -> None:
        self.epochs = 0
        self._heading = ""

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None:
        self.epochs = epochs
        for line in title:
            self._print(line)

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None:
        table = EpochTable.fitting(row, self.epochs, self._room())
        if table.heading != self._heading:  # the first epoch, or the terminal has another width
            self._heading = table.heading
            self._print(table.heading)
        self._print(table.line(row, seconds, best))

    def note(self, text: str) -> None:
        self._print(text)

    def stop(self) -> None: ...

    def _room(self) -> int | None:
        return columns(sys.stdout) if is_terminal(sys.stdout) else None

    def _print(self, text: str) -> None:
        print(text, flush=True)


class Bar(PlainDisplay):
    """The same lines above a live bar with steps per second and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0
        self._seen = (0, time.perf_counter())
        self._rate = 0.0
        self._colours = colours(sys.stdout)

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None:
        super().start(title, epochs, steps_per_epoch)
        self._steps = steps_per_epoch
        self._seen = (0, time.perf_counter())
        FOOT.draw([bar(["starting"], 0.0, [], columns(sys.stdout) - 1, self._colours)])

    def epoch(self, row: Row, seconds: float, best: bool) -> None:
        super().epoch(row, seconds, best)
        # Epochs may be shorter than the interval between two updates of the step count.
        self.step(int(row["epoch"]) - 1, self._steps, float(row.get("train/loss", math.nan)))

    def step(self, epoch: int, step: int, loss: float) -> None:
        done, now = epoch * self._steps + step, time.perf_counter()
        before, then = self._seen
        if done > before and now > then:
            rate = (done - before) / (now - then)
            self._rate = rate if not self._rate else 0.7 * self._rate + 0.3 * rate
            self._seen = (done, now)
        total = max(1, self.epochs * self._steps)
        left = f"{numbers.clock((total - done) / self._rate)} left" if self._rate else ""
        speed = [left, f"{numbers.short(self._rate)} steps/s"] if self._rate else []
        said = [
            f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}",
            f"step {step}/{self._steps}",
            f"loss {numbers.fixed(loss)}",
        ]
        FOOT.draw([bar(said, done / total, speed, columns(sys.stdout) - 1, self._colours)])

    def stop(self) -> None:
        FOOT.clear()


def choose(quiet: bool = False) -> Display:
    """Chooses the display for the kind of output: terminal, pipe, or none."""
    if quiet:
        return Silent()
    return Bar() if moves(sys.stdout) else PlainDisplay()


def bar(said: list[str], share: float, speed: list[str], width: int, coloured: bool = False) -> str:
    """A progress line: activity, bar, and speed; items without room are left out whole.

    Args:
        said: the activity, the most important item first.
        share: fraction of the work that is done, 0 to 1.
        speed: the most important item first.
        width: columns.
        coloured: whether the bar is.
    """
    said, speed = list(said), list(speed)
    while len(said) > 1 and len("  ".join(said)) > width:
        said.pop()
    head = "  ".join(said)
    while speed and len(head) + _LEAST_BAR + 4 + len(" · ".join(speed)) > width:
        speed.pop()
    tail = " · ".join(reversed(speed))
    room = width - len(head) - 2 - (len(tail) + 2 if tail else 0)
    if room < _LEAST_BAR:
        return head
    full = round(min(1.0, max(0.0, share)) * room)
    on, off = "━" * full, "·" * (room - full)
    drawn = f"\x1b[36m{on}\x1b[0m\x1b[2m{off}\x1b[0m" if coloured else on + off
    return f"{head}  {drawn}" + (f"  {tail}" if tail else "")


_LEAST_BAR = 8


@dataclass(frozen=True)
class EpochTable:
    """Layout of the table with a line per epoch: its columns and their widths.

    Attributes:
        epochs: of the run.
        names: the columns of an epoch's row that are shown.
        width: of each of them.
        rest: whether learning rate and time are shown too.
    """

    epochs: int
    names: tuple[str, ...]
    width: int
    rest: tuple[str, ...] = ("lr", "time")

    @classmethod
    def fitting(cls, row: Row, epochs: int, room: int | None = None) -> EpochTable:
        """The table with the most columns that fits a terminal ``room`` columns wide; None is unlimited."""
        names = tuple(name for name in row if "/" in name)
        table = cls(epochs, names, max(10, *(len(_heading(name)) for name in names)) if names else 10)
        if room is None:
            return table
        narrow = max([9, *(len(_heading(name)) for name in names)])
        tries = [table, *(cls(epochs, names, narrow, rest) for rest in (("lr", "time"), ("time",), ()))]
        kept = list(names)
        # Columns of the validation set are dropped last, its score at the very end.
        leaving = sorted(names, key=lambda name: (name.startswith("val/"), not name.endswith("loss")))
        for name in leaving[:-1]:
            kept.remove(name)
            tries.append(cls(epochs, tuple(kept), narrow, ()))
        return next((one for one in tries if one.columns <= room), tries[-1])

    @property
    def columns(self) -> int:
        """Width of its longest line."""
        return len(self.heading) + len(_BEST)

    @property
    def heading(self) -> str:
        """The headings above :meth:`line`."""
        return "  ".join(
            [
                f"{'epoch':>{self._first}}",
                *(f"{_heading(name):>{self.width}}" for name in self.names),
                *(f"{name:>{_REST[name]}}" for name in self.rest),
            ]
        )

    def line(self, row: Row, seconds: float, best: bool) -> str:
        """The line of an epoch: losses, scores, learning rate, time, and a mark if it is the best so far."""
        cells = [_cell(name, float(row[name])) if name in row else numbers.MISSING for name in self.names]
        head = f"{row['epoch']}/{self.epochs}"
        rest = {"lr": f"{float(row['lr']):.2g}", "time": _took(seconds)}
        return "  ".join(
            [
                f"{head:>{self._first}}",
                *(f"{cell:>{self.width}}" for cell in cells),
                *(f"{rest[name]:>{_REST[name]}}" for name in self.rest),
            ]
        ) + (_BEST if best else "")

    @property
    def _first(self) -> int:
        return max(len(f"{self.epochs}/{self.epochs}"), 5)


_BEST = "  best"
_REST = {"lr": 8, "time": 7}


def _heading(name: str) -> str:
    part, _, kind = name.partition("/")
    return f"{part} {named(kind).short or kind}"


def _cell(name: str, value: float) -> str:
    percent = named(name).percent and math.isfinite(value)
    return f"{100 * value:.2f} %" if percent else numbers.fixed(value)


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9999.95 else numbers.clock(seconds)
