"""Causes of a symptom from a folder of metrics, logs, spans, edges and events, for `tocsin diagnose`."""
