"""Learning-rate schedules in closed form, torch's schedulers by name, and L1 and L2 penalties."""
