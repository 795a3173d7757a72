"""Statistics that know nothing of telemetry: robust scale, tails, tests."""
