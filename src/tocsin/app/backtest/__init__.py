"""Stored history judged again: what a change of configuration, a label or a planted anomaly would have come to."""
