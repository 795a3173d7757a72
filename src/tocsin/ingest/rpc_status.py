"""`google.rpc.Status`, the error body of OTLP, and its codes."""

from __future__ import annotations

import math

from google.protobuf import json_format
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

CODES = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    408: 4,  # DEADLINE_EXCEEDED
    413: 3,
    415: 3,
    429: 8,  # RESOURCE_EXHAUSTED
    503: 14,  # UNAVAILABLE
}


def status_bytes(code: int, message: str, retry_after_s: float | None = None) -> bytes:
    """A serialised Status; `code` is one of google.rpc.Code."""
    status = Status(code=code, message=message)
    if retry_after_s is not None:
        info = RetryInfo()
        info.retry_delay.FromNanoseconds(math.ceil(retry_after_s * 1e9))
        status.details.add().Pack(info)
    raw: bytes = status.SerializeToString()
    return raw


def status_json(code: int, message: str) -> bytes:
    """The same in JSON.

    >>> status_json(3, "no")
    b'{"code": 3, "message": "no"}'
    """
    text: str = json_format.MessageToJson(Status(code=code, message=message), indent=None)
    return text.encode()
