"""What each key of a configuration may be: read from the comments in conf/, checked for every way a value comes in."""
