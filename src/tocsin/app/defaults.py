"""Numbers that people know the server by."""

PORT = 8642
OTLP_HTTP_PORT = 4318
OTLP_GRPC_PORT = 4317
URL = f"http://127.0.0.1:{PORT}"
