"""Structured pruning: removes whole channels and attention heads."""

from bmx.compression.prune_structured.method import PruneStructured as PruneStructured
