"""A run for people: the table at its end and its plots, from ``result.json`` and ``metrics.csv`` alone."""
