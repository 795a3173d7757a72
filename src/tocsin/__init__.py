"""Tocsin watches AI systems and opens few, explained, provable incidents."""
