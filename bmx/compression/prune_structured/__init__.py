"""Structured pruning: whole channels and attention heads are taken out."""

from bmx.compression.prune_structured.method import PruneStructured as PruneStructured
