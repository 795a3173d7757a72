"""Life cycle of incidents and the outbox."""
