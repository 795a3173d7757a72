"""Detectors by name: one file in this package each, or installed under `tocsin.detectors`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
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


@cache
def detector(name: str) -> type[ArrayDetector]:
    """The class of this name; of what is built in, only its own module is imported, and so compiled.

    `pyod:NAME` is the detector `pyod`.

    Raises
    ------
    BadConfig
        Nobody knows the name; the message says what is near.

    >>> detector("ewma").__name__
    'Ewma'
    """
    name = name.partition(":")[0]
    if name in {module.name for module in pkgutil.iter_modules(tocsin.detect.__path__)}:
        loaded = importlib.import_module(f"{tocsin.detect.__name__}.{name}")
        for _, cls in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(cls, ArrayDetector) and vars(cls).get("name") == name:
                return cls
    known = detectors()
    if name not in known:
        raise BadConfig(f"there is no detector {name!r}: {nearest(name, list(known))}")
    return known[name]


def build(name: str, params: Mapping[str, object]) -> ArrayDetector:
    """Make a detector from its name and keyword parameters.

    Raises
    ------
    BadConfig
        Nobody knows the name or a parameter, or a value is out of range; the message says what is near.

    >>> build("ewma", {"alpha": 0.1}).name
    'ewma'
    """
    cls: Any = detector(name)
    _, named, model = name.partition(":")
    if named:
        params = {"model": model, **params}
    declared = inspect.signature(cls).parameters
    takes = [p for p in declared if p != "self"]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in declared.values())  # it knows its own parameters
    for given in params:
        if given not in takes and not open_ended:
            raise BadConfig(f"detector {name!r} has no parameter {given!r}: {nearest(given, takes)}")
    try:
        made: ArrayDetector = cls(**params)
    except (TypeError, ValueError) as refused:
        raise BadConfig(str(refused)) from refused
    return made
