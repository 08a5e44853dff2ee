"""Pruning of single weights: they become zero, the architecture stays."""

from bmx.compression.prune.method import Prune as Prune
