"""Laws and harnesses that plug-ins can run on themselves."""
