"""The end of a sweep: which configuration is best, and how sure that is."""
