"""Many runs as one: job identity, claims, a pool of processes, search, and the mathematics of a leaderboard."""
