"""Quantisation: weights and activations of few bits, after training or tuned with the rounding in place."""

from bmx.compression.quantize.method import Quantize as Quantize
