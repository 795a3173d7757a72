"""The words everything else is written in: signals, series, frames, log entries, findings, incidents."""
