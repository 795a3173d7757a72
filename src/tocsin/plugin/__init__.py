"""Finding what can be named in a spec: built in or installed."""
