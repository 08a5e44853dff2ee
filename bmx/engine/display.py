"""What a person sees while a run trains: a line per epoch that stays, and a bar that moves."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

Row = dict[str, float | int | str]


class Display(Protocol):
    """Follows a run; every call is cheap."""

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None: ...

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """Shows nothing: other ranks, and callers from Python."""

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None: ...

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Lines:
    """Plain lines, for pipes, files and sweeps."""

    def __init__(self) -> None:
        self.epochs = 0
        self._header = False

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None:
        self.epochs = epochs
        for line in title:
            self._print(line)

    def step(self, epoch: int, step: int, loss: float) -> None: ...

    def epoch(self, row: Row, seconds: float, best: bool) -> None:
        if not self._header:
            self._print(epoch_header(row, self.epochs))
            self._header = True
        self._print(epoch_line(row, self.epochs, seconds, best))

    def note(self, text: str) -> None:
        self._print(text)

    def stop(self) -> None: ...

    def _print(self, text: str) -> None:
        print(text, flush=True)


class Bar(Lines):
    """The same lines above a live bar with steps per second and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._steps = 0
        self._seen = (0, time.perf_counter())
        self._rate = 0.0

    def start(self, title: list[str], epochs: int, steps_per_epoch: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        super().start(title, epochs, steps_per_epoch)
        self._steps = steps_per_epoch
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.fields[speed]}", style="dim"),
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("starting", total=epochs * steps_per_epoch, speed="")
        self._progress.start()
        self._progress.refresh()

    def step(self, epoch: int, step: int, loss: float) -> None:
        if self._progress is None:
            return
        done, now = epoch * self._steps + step, time.perf_counter()
        before, then = self._seen
        if done > before and now > then:
            rate = (done - before) / (now - then)
            self._rate = rate if not self._rate else 0.7 * self._rate + 0.3 * rate
            self._seen = (done, now)
        total = self.epochs * self._steps
        speed = f"{self._rate:,.0f} steps/s · {_clock((total - done) / self._rate)} left" if self._rate else ""
        text = f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}  step {step}/{self._steps}  loss {loss:.4f}"
        self._progress.update(self._task, completed=done, description=text, speed=speed)
        self._progress.refresh()

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _print(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            super()._print(text)


def choose(quiet: bool = False) -> Display:
    """The display that suits where the output goes."""
    if quiet:
        return Silent()
    return Bar() if sys.stdout.isatty() else Lines()


_HEADINGS = {"loss": "loss", "accuracy": "acc", "rmse": "rmse"}


def _columns(row: Row) -> list[str]:
    return [name for name in row if "/" in name]


def epoch_header(row: Row, epochs: int) -> str:
    """The headings above :func:`epoch_line`."""
    width = max(len(f"{epochs}/{epochs}"), 5)
    names = [f"{part} {_HEADINGS.get(kind, kind)}" for part, kind in (name.split("/", 1) for name in _columns(row))]
    return "  ".join([f"{'epoch':>{width}}", *(f"{name:>10}" for name in names), f"{'lr':>8}", f"{'time':>7}"])


def epoch_line(row: Row, epochs: int, seconds: float, best: bool) -> str:
    """One epoch in a line: losses, scores, learning rate, time, and a mark if it is the best so far."""
    width = max(len(f"{epochs}/{epochs}"), 5)
    cells = [_cell(name, float(row[name])) for name in _columns(row)]
    head = f"{row['epoch']}/{epochs}"
    line = "  ".join(
        [f"{head:>{width}}", *(f"{c:>10}" for c in cells), f"{float(row['lr']):8.2g}", f"{seconds:5.1f} s"]
    )
    return line + ("  best" if best else "")


def _cell(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
