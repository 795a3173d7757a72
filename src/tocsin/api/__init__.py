"""Control API and pages."""
