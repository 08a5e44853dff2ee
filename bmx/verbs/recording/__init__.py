"""A fit in its own run directory, and the runs that it needs or is made of."""
