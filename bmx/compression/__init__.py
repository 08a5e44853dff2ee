"""Model compression: low-rank factorisation, pruning, quantisation, and rebuilding a compressed architecture."""
