"""Metrics of classification and regression: name, label, direction and formula, a file a family. Imports no torch."""
