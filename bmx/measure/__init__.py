"""What a model costs: parameters, multiply-accumulates, activation memory, bytes on disk, latency."""
