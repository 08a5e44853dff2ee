"""What a ``_target_`` names: where it is found, whose it is, and whose line it was that failed. Imports no torch."""
