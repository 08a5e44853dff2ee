"""Layers shared by several architectures, and checks of model arguments."""
