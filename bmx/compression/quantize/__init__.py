"""Quantisation of weights and activations, post-training (PTQ) or quantisation-aware (QAT)."""

from bmx.compression.quantize.method import Quantize as Quantize
