"""What users and packs write: monitors, sources, destinations, routes, packs."""
