"""How packs name things by labels: a key, several keys joined by `+`, or the host part of an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from tocsin.model.text import one_line

ENTITY_CHARS = 200


def host_of(address: str) -> str:
    """Host of `host:port`, empty where it says nothing (loopback, any, localhost).

    >>> host_of("gpu-1:9400"), host_of("127.0.0.1:9100"), host_of("[::1]:80"), host_of("localhost:1")
    ('gpu-1', '', '', '')
    """
    host = address.strip().removeprefix("http://").removeprefix("https://").split("/")[0]
    host = host[1:].split("]")[0] if host.startswith("[") else host.rsplit(":", 1)[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return "" if host in ("localhost", "localhost.localdomain") else host
    return "" if parsed.is_loopback or parsed.is_unspecified else host


def read_key(labels: Mapping[str, str], key: str) -> str:
    """Entity that one key of a pack names in labels, empty if it names none.

    >>> read_key({"Hostname": "n1", "gpu": "0"}, "Hostname+gpu"), read_key({"instance": "n1:9400"}, "instance~host")
    ('n1/0', 'n1')
    """
    value = labels.get(key)
    if value:
        return one_line(value, ENTITY_CHARS)
    if "+" in key:
        parts = [read_key(labels, part) for part in key.split("+")]
        return "/".join(parts) if all(parts) else ""
    if key.endswith("~host"):
        return host_of(one_line(labels.get(key.removesuffix("~host"), ""), ENTITY_CHARS))
    return ""
