"""Low-rank compression: layers become products of smaller ones, under one budget for all of them."""

from bmx.compression.low_rank.method import LowRank as LowRank
