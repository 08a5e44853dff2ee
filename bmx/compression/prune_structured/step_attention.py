"""Repeats the step ``attention`` of a recipe."""

from bmx.compression.prune_structured.separate_attention import rebuild as rebuild
