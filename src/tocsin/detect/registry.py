"""Detectors by name: one file in this package each, or installed under `tocsin.detectors`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import tocsin.detect
from tocsin.detect.array import ArrayDetector
from tocsin.model.errors import BadConfig
from tocsin.plugin.registry import discover, nearest

GROUP = "tocsin.detectors"


@cache
def detectors() -> dict[str, type[ArrayDetector]]:
    """Every detector class by its name."""
    return discover(tocsin.detect, ArrayDetector, GROUP)


def build(name: str, params: Mapping[str, float | str]) -> ArrayDetector:
    """Make a detector from its name and keyword parameters.

    Raises
    ------
    BadConfig
        Nobody knows the name or a parameter, or a value is out of range; the message says what is near.

    >>> build("ewma", {"alpha": 0.1}).name
    'ewma'
    """
    known = detectors()
    if name not in known:
        raise BadConfig(f"there is no detector {name!r}: {nearest(name, list(known))}")
    cls: Any = known[name]
    takes = [p for p in inspect.signature(cls).parameters if p != "self"]
    for given in params:
        if given not in takes:
            raise BadConfig(f"detector {name!r} has no parameter {given!r}: {nearest(given, takes)}")
    try:
        made: ArrayDetector = cls(**params)
    except (TypeError, ValueError) as refused:
        raise BadConfig(str(refused)) from refused
    return made
