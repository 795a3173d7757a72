"""Drift, performance, fairness of models."""
