"""Declarations of the export formats, without their writers and readers; found by :mod:`bmx.config.formats`."""
