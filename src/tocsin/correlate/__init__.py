"""Topology, grouping and cause."""
