"""From the wire to frames: decoders, limits, redaction, identity, collectors."""
