"""Fields of text with a form of their own: addresses, patterns, networks, one or several texts."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any
from urllib.parse import urlsplit

import re2
from pydantic import AfterValidator, BeforeValidator


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{text!r} is not an address; write it like https://host:port/path")
    return text


def _fixed_host(url: str) -> str:
    if "${" in "/".join(url.split("/", 3)[:3]):
        raise ValueError("a label may stand in the path of an address, not in its host; who is called is fixed")
    return url


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"not a network ({error}); write it like 10.0.0.0/8") from None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def compiled(text: str) -> str:
    """Check a regular expression of RE2 (no look-around or back references, and so no runaway time).

    Raises
    ------
    ValueError
        RE2 does not take it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not a pattern"
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a pattern of RE2: {reason}") from None
    return text


def pattern_with_value(text: str) -> str:
    """Check a pattern that makes points from lines: any groups it has must be named.

    Raises
    ------
    ValueError
        It is no pattern, or has groups but none called `value`.
    """
    compiled(text)
    pattern = re2.compile(text)
    if pattern.groups and "value" not in pattern.groupindex:
        raise ValueError("the pattern has groups but none is the value; name it like (?P<value>[0-9.]+)")
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""Pydantic field: an http or https address, kept as written."""
CalledUrl = Annotated[HttpUrl, AfterValidator(_fixed_host)]
"""An address that is called, which labels (`${model}`) may be part of but for its host."""

Network = Annotated[str, AfterValidator(_network)]
"""Pydantic field: a network such as 10.0.0.0/8, or one address."""

Pattern = Annotated[str, AfterValidator(compiled)]
"""Pydantic field: a regular expression of RE2."""

Texts = Annotated[list[str], BeforeValidator(_as_list)]
"""Pydantic field: one text or a list of them."""
