"""Playbooks and actions."""
