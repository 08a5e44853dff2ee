"""The process pool of a sweep: starts, schedules and monitors the processes of jobs."""
