"""Run directories: made, locked, found, written, read and listed, without torch; ``report`` draws them."""
