"""Telemetry store (chDB), state store (SQLite), export, backup."""
