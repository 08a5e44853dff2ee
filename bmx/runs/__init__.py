"""Run directories: creating, locking, finding, recording and listing runs, without torch; ``report`` plots them."""
