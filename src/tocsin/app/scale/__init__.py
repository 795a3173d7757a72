"""Scaling out on paper: what a load needs, and a simulation of lag and of partitions that move."""
