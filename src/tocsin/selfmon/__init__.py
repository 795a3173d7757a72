"""Own health: metrics, structured logs."""
