"""The command line: dispatch of verbs, help, error reports and exit codes. Nothing here imports torch."""
