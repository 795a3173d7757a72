"""Spans, logs, records, histograms and counters become points; new values become change events."""
