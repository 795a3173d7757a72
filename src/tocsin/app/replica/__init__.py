"""`tocsin replica`: pages and API beside control, from the stores that it shares with it."""
