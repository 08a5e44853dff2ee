"""``profile=true``: profiles training steps with torch.profiler, into a table and a trace."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch.profiler import ProfilerActivity, profile, schedule

from bmx.data.pipeline.loading import Batch, Reader

if TYPE_CHECKING:
    import torch

# Steps that are skipped, then warm-up, then recorded. The first steps allocate and choose kernels.
WAIT, WARM_UP, RECORD = 5, 3, 20
_ROWS = 25


def plan(steps: int) -> tuple[int, int, int]:
    """Numbers of skipped, warm-up and recorded steps in a run of ``steps``; a short run records its last ones."""
    skipped = min(WAIT + WARM_UP, steps // 4)
    warm_up = min(WARM_UP, (skipped + 1) // 2)
    return skipped - warm_up, warm_up, max(1, min(RECORD, steps - skipped))


class ProfiledReader:
    """Reader that passes batches through and profiles the steps made with the first few dozen of them.

    Writes ``trace.json`` (for https://ui.perfetto.dev or chrome://tracing) and ``table.txt`` into ``folder``, as soon
    as enough is recorded, or when it is closed.

    Args:
        reader: where the batches come from.
        folder: where the files go.
        device: of the run; on CUDA its kernels are recorded too.
        steps: number of steps of the run.
    """

    def __init__(self, reader: Reader, folder: Path, device: torch.device, steps: int) -> None:
        self.reader = reader
        self.folder = folder
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
        self._sort = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
        self._steps = 0
        self._running = self._pending = False
        wait, warm_up, record = plan(steps)
        self._skipped, self._last = wait + warm_up, wait + warm_up + record
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Profiler won't be using warmup")  # there is one step in all
            self._profile: profile | None = profile(
                activities=activities, schedule=schedule(wait=wait, warmup=warm_up, active=record, repeat=1)
            )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self._profile is not None and not self._running:
            self._profile.start()
            self._running = True
        for batch in self.reader.epoch(epoch, start):
            self._count()
            if self._steps == self._last:
                self._finish()
            self._pending = True
            yield batch

    def close(self) -> None:
        """Ends the recording; what was recorded so far is written.

        Raises:
            OSError: it cannot be written; the recording has ended all the same.
        """
        self._count()
        self._finish()

    def _count(self) -> None:
        """Counts the step of the last batch as done: requesting the next batch means so."""
        if self._pending and self._profile is not None:
            self._steps += 1
            self._profile.step()
        self._pending = False

    def _finish(self) -> None:
        recorded = self.drop()
        if recorded is not None:
            self._write(recorded)

    def drop(self) -> profile | None:
        """Ends the recording and writes nothing; a profiler left running crashes the interpreter at exit."""
        recorded, self._profile = self._profile, None
        if recorded is None or not self._running:
            return None
        recorded.stop()
        return recorded

    def _write(self, recorded: profile) -> None:
        """Writes both files, outside of the profiler's own steps, so that it is stopped whatever fails here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        table, trace = self.folder / "table.txt", self.folder / "trace.json"
        steps = min(self._steps - self._skipped, RECORD)
        if steps < 1:
            table.write_text(f"nothing was recorded: the run ended after {self._steps} steps, within the warm-up\n")
            return
        rows = recorded.key_averages().table(sort_by=self._sort, row_limit=_ROWS, max_name_column_width=40)
        head = f"{steps} training steps after {self._skipped}; sorted by {self._sort.replace('_', ' ')}\n"
        table.write_text(head + rows + "\n")
        recorded.export_chrome_trace(str(trace))
        if not _is_whole(trace):  # torch does not check that its write succeeded
            trace.unlink(missing_ok=True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(trace))


def _is_whole(trace: Path) -> bool:
    try:
        with trace.open("rb") as file:
            file.seek(max(0, trace.stat().st_size - 64))
            return file.read().rstrip().endswith(b"}")
    except OSError:
        return False
