"""Verdicts replayed: what is kept when an incident opens, the bundle made of it, and the same fold elsewhere."""
