"""Records a fit in its run directory, with prerequisite runs (teachers) and nested ones (pipeline stages, trials)."""
