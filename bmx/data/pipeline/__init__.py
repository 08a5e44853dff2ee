"""Data pipeline, from a data set to batches on the device: checks, splits, caches, order, loading, normalisation."""
