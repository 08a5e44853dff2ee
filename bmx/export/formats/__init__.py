"""What each format is, without what writes and reads it; found by :mod:`bmx.config.formats`."""
