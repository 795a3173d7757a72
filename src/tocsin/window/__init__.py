"""Event-time windows, and the five states of a series."""
