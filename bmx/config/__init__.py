"""Composes and validates configurations: typed declarations from the comments in conf/, overrides, resume, trust."""
