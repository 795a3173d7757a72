"""From destination specs to destinations: one file each, found by its `type`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tocsin.notify
from tocsin.model.destination import Destination
from tocsin.model.errors import BadConfig
from tocsin.notify.base import Context, Notifier
from tocsin.plugin.registry import discover, nearest
from tocsin.spec.destination import ConsoleDestination, DestinationBase

GROUP = "tocsin.destinations"
CONSOLE = "console"


def notifiers() -> dict[str, type[Notifier[Any]]]:
    """Classes of destinations by type, built in or installed under the entry-point group."""
    return discover(tocsin.notify, Notifier, GROUP)


def open_destinations(specs: Iterable[DestinationBase], context: Context) -> dict[str, Destination]:
    """Destinations by name; `console` is always there.

    Raises
    ------
    BadConfig
        Nobody knows a type.
    """
    known = notifiers()
    found: dict[str, Destination] = {}
    for spec in (ConsoleDestination(name=CONSOLE, type="console"), *specs):
        kind = str(getattr(spec, "type", ""))
        if kind not in known:
            raise BadConfig(f"destination {spec.name!r} has type {kind!r}; {nearest(kind, list(known))}")
        found[spec.name] = known[kind](spec, context)
    return found


def resend_ns(destinations: Iterable[Destination]) -> dict[str, int]:
    """By name how often, in ns, an open incident must be told again."""
    return {each.name: int(each.resend_s * 1_000_000_000) for each in destinations if each.resend_s > 0}
