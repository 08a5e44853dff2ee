"""Lossless tensor compression: adaptive arithmetic coding for pruned or shared weights, lzma or zlib for the rest."""
