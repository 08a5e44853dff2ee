"""Files on disk: replaced whole or not at all, held by one process, and named as the person at the terminal would."""
