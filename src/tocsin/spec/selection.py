"""Choosing series by their labels and the name of their monitor."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from tocsin.model.series import Labels


def selects(wanted: Mapping[str, str], monitor: str, labels: Labels) -> bool:
    """Whether a series of a monitor has all that is wanted: globs by label; `monitor` is the monitor's name.

    >>> selects({"monitor": "p95-*", "region": "eu"}, "p95-latency", (("region", "eu"),))
    True
    >>> selects({"region": "*"}, "p95-latency", ())
    False
    """
    held = {**dict(labels), "monitor": monitor}
    return all(key in held and fnmatchcase(held[key], glob) for key, glob in wanted.items())
