"""The health of a model, by its inference records."""
