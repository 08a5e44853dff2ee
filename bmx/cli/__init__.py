"""The command line: verbs, their words, help, errors and completion. Nothing here imports torch."""
