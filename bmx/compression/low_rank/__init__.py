"""Low-rank compression: factorises layers into smaller ones, under one budget for the whole net."""

from bmx.compression.low_rank.method import LowRank as LowRank
