"""bmx export: a finished run as a file that other programs can load."""
