"""Tabular data: rows of (F,) measurements, each with a unit of its own."""

from __future__ import annotations

from bmx.data.kinds.kind import Kind


class Table(Kind):
    axes = ("column",)
    samples = "rows"
    values = "features"


KIND = Table()
