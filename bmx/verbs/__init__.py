"""The verbs of the command line (train, distill, compress, ...), one package each."""
