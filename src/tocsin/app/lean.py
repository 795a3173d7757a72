"""Keeping a library out of a process that has no use for it."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec


class _Absent(MetaPathFinder):
    """Says of one library that it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Nothing to say about any other library."""
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is not used in this process", name=fullname)
        return None


def without_pandas() -> None:
    """Let Arrow do without pandas, which it would load at its first conversion: a second and 60 MB in a first request."""
    sys.meta_path.insert(0, _Absent("pandas"))


def without_colours() -> None:
    """Let the log and the migrations do without rich and pygments: they paint tracebacks that are written as plain text here."""
    for name in ("rich", "pygments"):
        sys.meta_path.insert(0, _Absent(name))
