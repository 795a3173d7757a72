"""The demo world: a chatbot that fails in a known way."""
