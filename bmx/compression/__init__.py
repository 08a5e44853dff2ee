"""Compression of plain modules: low rank, pruning, quantisation, and how a compressed model is built again."""
