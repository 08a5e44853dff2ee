"""Reports of a run: terminal tables and plots, from ``result.json`` and ``metrics.csv`` alone."""
