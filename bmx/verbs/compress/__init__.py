"""bmx compress: a smaller or faster model out of a run's, and what it cost."""
