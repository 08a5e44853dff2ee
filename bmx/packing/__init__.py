"""Tensors in few bytes, without loss: an adaptive arithmetic coder for pruned and shared weights, lzma for the rest."""
