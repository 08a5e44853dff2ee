"""Unstructured pruning: sets single weights to zero, the architecture stays."""

from bmx.compression.prune.method import Prune as Prune
