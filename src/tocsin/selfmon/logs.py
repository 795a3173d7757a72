"""Structured logs on stderr: JSON lines, or readable ones on a terminal; bounded, escaped, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

MAX_TEXT = 2000
MAX_FIELDS = 40
_SECRET_NAME = re.compile(r"(?i)(secret|password|passwd|token|authorization|cookie|routing_key|api_?key)$")
_SECRET_TEXT = re.compile(
    r"tk_[0-9a-f]{12}_[A-Za-z0-9_-]{20,}|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def plain_text(text: str, limit: int = MAX_TEXT) -> str:
    r"""Text from elsewhere, fit for a terminal or a log: no escape sequences, no control or direction characters.

    >>> plain_text("\x1b[31mred\x1b[0m\x07 bell\u202e")
    'red bell'
    """
    clean = _CONTROL.sub("", text)
    return clean if len(clean) <= limit else f"{clean[:limit]}... ({len(clean)} characters)"


def without_secrets(text: str) -> str:
    """Text with what looks like one of our keys, a bearer token or a password in an address taken out.

    >>> without_secrets("Authorization: Bearer abcdefgh1234")
    'Authorization: [secret]'
    """
    return _SECRET_TEXT.sub("[secret]", text)


def set_up(process: str, *, stream: TextIO | None = None, pretty: bool | None = None) -> None:
    """Send structlog's and the standard library's messages to stderr in one form; call once at start."""
    out = stream or sys.stderr
    pretty = out.isatty() if pretty is None else pretty
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.format_exc_info,
        _bounded,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=True) if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    relay = logging.StreamHandler(out)
    relay.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [relay]
    root.setLevel(logging.WARNING)


def _named(process: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    return add


def _bounded(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Every value short and plain; JSON escapes the rest, so a hostile text can't forge a line."""
    clean: dict[str, Any] = {}
    for name, value in list(event.items())[:MAX_FIELDS]:
        if _SECRET_NAME.search(name):
            clean[name] = "[secret]"
        elif value is None or isinstance(value, bool | int | float):
            clean[name] = value
        elif name.startswith("_"):
            clean[name] = value  # structlog's own, taken out before the line is written
        else:
            text = plain_text(without_secrets(value if isinstance(value, str) else repr(value)))
            clean[name] = text if name == "exception" else text.replace("\n", "\\n")
    return clean
