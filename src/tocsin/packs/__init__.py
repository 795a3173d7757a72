"""Domain knowledge as data."""
