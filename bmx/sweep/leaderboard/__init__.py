"""The leaderboard of a sweep: ranks configurations, with confidence intervals and significance tests."""
