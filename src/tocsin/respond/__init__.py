"""Playbooks and actions: decided on evidence, done once, proven by the same detector, else taken back."""
