"""Resolves ``_target_`` names: locates objects, decides trust, traces errors to the user's code. Imports no torch."""
