"""What outputs are measured by: names, labels, directions and formulas, a file a family. Imports no torch."""
