"""Calls of language models as spans tell them: canonical fields, costs, limits, and what is one call told twice."""
