"""Scores and verdicts written back: at `/metrics`, by remote write, and the rules that go with them."""
