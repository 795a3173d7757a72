"""The scaled-out form: edges and workers on a shared log, and one place where all comes together."""
