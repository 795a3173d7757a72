"""From raw scores to log10 p-values, levels and hysteresis."""
