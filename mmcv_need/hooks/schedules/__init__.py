"""Schedules of learning rate and momentum: pure functions of the place in a run."""
