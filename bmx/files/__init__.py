"""File utilities: atomic writes, file locks, and paths for display."""
