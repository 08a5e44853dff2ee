"""Runs a task: builds its parts from the configuration, watches over it, saves it, and brings it back."""

from bmx.engine.fast_import import import_lightning

# Every module of this package needs torch and Lightning; this is where they are imported, once, the fast way.
import_lightning()
