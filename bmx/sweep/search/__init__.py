"""Searches over a space of configurations: Optuna's studies, shared by every process that works on one."""
