"""``profile=true``: where the time of a training step goes, as a table and as a trace to look into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch.profiler import ProfilerActivity, profile, schedule

from bmx.data.loading import Batch, Reader

if TYPE_CHECKING:
    import torch

# Steps that are let pass, then warmed up, then recorded. The first steps allocate and choose kernels.
WAIT, WARM_UP, RECORD = 5, 3, 20
_ROWS = 25


class ProfiledReader:
    """Hands on the batches of a reader and records the steps made with the first few dozen of them.

    Writes ``trace.json`` (for https://ui.perfetto.dev or chrome://tracing) and ``table.txt`` into ``folder``. A run
    shorter than that records what it has.

    Args:
        reader: where the batches come from.
        folder: where the files go.
        device: of the run; on CUDA its kernels are recorded too.
    """

    def __init__(self, reader: Reader, folder: Path, device: torch.device) -> None:
        self.reader = reader
        self.folder = folder
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
        self._sort = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
        self._steps = 0
        self._profile: profile | None = profile(
            activities=activities,
            schedule=schedule(wait=WAIT, warmup=WARM_UP, active=RECORD, repeat=1),
            on_trace_ready=self._write,
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self._profile is not None and self._steps == 0:
            self._profile.start()
        for batch in self.reader.epoch(epoch, start):
            yield batch
            # Control comes back when the step with this batch has been made.
            self._steps += 1
            if self._profile is not None:
                self._profile.step()
                if self._steps > WAIT + WARM_UP + RECORD:
                    self.close()

    def close(self) -> None:
        """Ends the recording; what was recorded so far is written."""
        if self._profile is not None and self._steps:
            self._profile.stop()
        self._profile = None

    def _write(self, recorded: profile) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        recorded.export_chrome_trace(str(self.folder / "trace.json"))
        steps = min(max(self._steps - WAIT - WARM_UP, 1), RECORD)
        table = recorded.key_averages().table(sort_by=self._sort, row_limit=_ROWS, max_name_column_width=40)
        head = f"{steps} training steps after {WAIT + WARM_UP}; sorted by {self._sort.replace('_', ' ')}\n"
        (self.folder / "table.txt").write_text(head + table + "\n")
