"""The Log port on segment files."""
