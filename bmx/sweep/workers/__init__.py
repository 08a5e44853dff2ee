"""The processes that jobs of a sweep run in: as many at a time as there are places."""
