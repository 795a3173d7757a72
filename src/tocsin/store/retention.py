"""How long rows of the telemetry store are kept, by kind."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.model.errors import BadConfig

RETENTION_DAYS: Mapping[str, int] = {
    "points": 30,
    "points_1m": 400,
    "distributions": 30,
    "spans": 7,
    "logs": 7,
    "records": 90,
    "events": 400,
    "panes": 30,
    "states": 90,
    "findings": 400,
}
"""Days kept by default; `limits.retention` of tocsin.yaml overrides them by table."""


def retention_seconds(limits: Mapping[str, int]) -> dict[str, int]:
    """Seconds each table keeps its rows: the defaults, overridden by `limits` (ns, by table).

    Raises
    ------
    BadConfig
        A limit names no table with a retention, or is under a minute.
    """
    found = {name: days * 86_400 for name, days in RETENTION_DAYS.items()}
    for name, kept_ns in limits.items():
        if name not in found:
            raise BadConfig(f"limits.retention: no kind {name!r}; kinds are {', '.join(sorted(found))}")
        if kept_ns < 60 * 10**9:
            raise BadConfig(f"limits.retention.{name}: {kept_ns}ns is under a minute; write it like 7d")
        found[name] = kept_ns // 10**9
    return found
