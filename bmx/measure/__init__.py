"""Measurement of a model's cost: parameters, multiply-accumulates (MACs), activation memory, file size, latency."""
