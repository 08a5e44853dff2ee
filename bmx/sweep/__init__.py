"""Sweeps: config hashes of jobs, job locks, a process pool, hyperparameter search, and the leaderboard statistics."""
