"""Lightning logger that writes metrics.csv: a row per log window and per epoch, readable during the run."""

from __future__ import annotations

import csv
import io
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from bmx.files.atomic import replacing

_FIRST_COLUMNS = ("row", "epoch", "step", "lr")


class MetricsCsv(Logger):
    """Appends rows to ``<run>/metrics.csv``.

    Args:
        path: the file; its columns are those of the first rows, and it is rewritten when a new column appears.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = []
        self.rows = 0
        self._file: io.TextIOWrapper | None = None

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the configuration is in config.yaml."""

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Appends one row; rows that Lightning logs have no kind and are marked ``lightning``."""
        row = dict(metrics) if "row" in metrics else {"row": "lightning", "step": step, **metrics}
        if row["row"] == "lightning" and "epoch" in row:
            row["epoch"] = int(row["epoch"]) + 1  # the file counts epochs from 1, as the screen does
        new = [name for name in row if name not in self.columns]
        if self._file is None or new:
            self._extend(new)
        assert self._file is not None
        csv.writer(self._file).writerow([_text(row.get(name, "")) for name in self.columns])
        self._file.flush()
        self.rows += 1

    def _extend(self, new: list[str]) -> None:
        rows: list[dict[str, str]] = []
        if self._file is not None:
            self._file.close()
        if self.path.exists():
            with self.path.open(newline="") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or self.columns)
                rows = list(reader)
            self.rows = len(rows)
        names = dict.fromkeys([*_FIRST_COLUMNS, *self.columns, *new])
        changed = list(names) != self.columns or not self.path.exists()
        self.columns = list(names)
        if changed:
            with replacing(self.path, newline="") as file:
                writer = csv.DictWriter(file, self.columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
        self._file = self.path.open("a", newline="")

    def sync(self) -> int:
        """Flushes the file to disk and returns its number of data rows, to be stored in a checkpoint."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        return self.rows

    def cut(self, rows: int) -> None:
        """Truncates the file to its first ``rows`` rows: the others were written after the resumed checkpoint."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self.rows = rows
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            kept = [row for _, row in zip(range(rows + 1), csv.reader(file), strict=False)]
        if rows == 0:
            self.path.unlink()
            self.columns = []
            return
        with replacing(self.path, newline="") as file:
            csv.writer(file).writerows(kept)

    def finalize(self, status: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _text(value: Any) -> str:
    # repr keeps every digit, so equal files mean equal runs.
    return repr(float(value)) if isinstance(value, float) else str(value)
