"""Read by every Python that a test starts, since its folder is in PYTHONPATH then."""

import error_notes

error_notes.watch()
