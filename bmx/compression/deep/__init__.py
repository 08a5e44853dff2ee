"""Deep Compression: pruning, weight sharing by k-means, and entropy coding (Han et al. 2016)."""

from bmx.compression.deep.method import Deep as Deep
