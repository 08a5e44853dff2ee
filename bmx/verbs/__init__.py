"""One file per verb, each reading like the recipe it is."""
