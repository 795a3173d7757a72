"""The command line: what scripts and people at a terminal rely on."""
