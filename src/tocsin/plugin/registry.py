"""Find what can be named in a configuration: built in, or installed under an entry-point group."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

from tocsin.model.errors import BadConfig

T = TypeVar("T")


def discover(package: ModuleType, base: type[T], group: str) -> dict[str, type[T]]:
    """Map `name` to class for every class of `base` that has a name of its own, sorted by name.

    Modules of `package` are searched, and what installed distributions offer under `group`.

    Raises
    ------
    BadConfig
        Two classes claim one name.
    """
    found: dict[str, type[T]] = {}
    for module in (m.name for m in pkgutil.iter_modules(package.__path__)):
        loaded = importlib.import_module(f"{package.__name__}.{module}")
        for _, cls in inspect.getmembers(loaded, inspect.isclass):
            if cls.__module__ == loaded.__name__:
                _claim(found, cls, base)
    for entry in entry_points(group=group):
        _claim(found, entry.load(), base)
    return dict(sorted(found.items()))


def _claim(found: dict[str, type[T]], cls: Any, base: type[T]) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, base) and isinstance(vars(cls).get("name"), str)):
        return
    name: str = vars(cls)["name"]
    if found.setdefault(name, cls) is not cls:
        raise BadConfig(
            f"{name!r} is claimed by {found[name].__qualname__} and {cls.__qualname__}; uninstall one of them"
        )


def nearest(name: str, known: list[str]) -> str:
    """What to tell someone who wrote a name nobody knows.

    >>> nearest("baselin", ["baseline", "ewma"])
    "did you mean 'baseline'?"
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
