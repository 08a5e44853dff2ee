"""The training engine: builds a run from its configuration, monitors, checkpoints and resumes it."""

from bmx.engine.fast_import import import_lightning

# Every module of this package needs torch and Lightning; this is where they are imported, once, the fast way.
import_lightning()
