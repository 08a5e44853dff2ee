"""Rebuilds the recipe step ``low_rank``."""

from bmx.compression.low_rank.factored import rebuild as rebuild
