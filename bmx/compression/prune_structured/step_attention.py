"""Rebuilds the recipe step ``attention``."""

from bmx.compression.prune_structured.separate_attention import rebuild as rebuild
