"""The layers that several architectures are built from, and what all of them check."""
