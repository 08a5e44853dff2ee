"""bmx evaluate: metrics of a finished run or an exported file."""
