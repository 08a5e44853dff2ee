"""Repeats the step ``low_rank`` of a recipe."""

from bmx.compression.low_rank.factored import rebuild as rebuild
