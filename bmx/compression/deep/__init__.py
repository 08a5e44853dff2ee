"""Deep Compression: prune, let weights share values, and store both with few bits."""

from bmx.compression.deep.method import Deep as Deep
