"""The fold over the log."""
