"""Hyperparameter search with Optuna studies, shared by every process that works on one."""
