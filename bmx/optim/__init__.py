"""Optimisation that torch does not have ready: schedules in closed form, parameter groups, penalties."""
