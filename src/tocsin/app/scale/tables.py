"""Sizes, bounds and simulations as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from tocsin.app.scale.scenario import Outcome
from tocsin.app.scale.sizing import Bound, Size

_STEPS: Final = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(value: float, unit: str = "B") -> str:
    """A number with two digits and a letter for its size.

    >>> short(2.05e13), short(340.0), short(1.0e6, "")
    ('20 TB', '340 B', '1.0 M')
    """
    for step, letter in _STEPS:
        if value >= step:
            scaled = value / step
            return f"{scaled:,.0f} {letter}{unit}" if scaled >= 10 else f"{scaled:.1f} {letter}{unit}"
    return f"{value:,.0f} {unit}".rstrip()


_ROWS: Final[Sequence[tuple[str, Callable[[Size], str]]]] = (
    ("series, one reading every 10 s", lambda size: short(size.load.series, "")),
    ("installations side by side, as control asks for", lambda size: f"{size.installations:,}"),
    ("cores of edges", lambda size: f"{size.edge_cores:,}"),
    ("cores of engine workers", lambda size: f"{size.engine_cores:,}"),
    ("cores of control", lambda size: f"{size.control_cores:,}"),
    ("partitions of the log", lambda size: f"{size.partitions:,}"),
    ("ticks a second, each edge to each partition", lambda size: short(size.ticks_per_s, "")),
    ("brokers", lambda size: f"{size.brokers:,}"),
    ("log, a second in one copy", lambda size: short(size.log_bytes_s)),
    ("log on disk, a day in three copies", lambda size: short(size.log_disk_bytes)),
    ("memory of engine workers", lambda size: short(size.memory_bytes)),
    ("all snapshots", lambda size: short(size.snapshots_bytes)),
    ("snapshots, a second at one a minute", lambda size: short(size.snapshot_bytes_s)),
    ("telemetry store, 30 days in two copies", lambda size: short(size.store_disk_bytes)),
    ("network, a second", lambda size: short(size.network_bytes_s)),
    ("a month, at the prices above", lambda size: "$" + short(size.month, "")),
)


def sizes_table(sizes: Sequence[Size]) -> str:
    """A column for each load."""
    head = "| points/s | " + " | ".join(f"10^{math.log10(size.load.points_per_s):g}" for size in sizes) + " |"
    lines = [head, "|---|" + "---:|" * len(sizes)]
    lines += [f"| {name} | " + " | ".join(told(size) for size in sizes) + " |" for name, told in _ROWS]
    return "\n".join(lines)


def bounds_table(found: Sequence[Bound]) -> str:
    """What gives way first, above."""
    lines = ["| what gives way | limit | at points/s | then |", "|---|---|---:|---|"]
    lines += [f"| {b.what} | {b.limit} | {short(b.points_per_s, '')} | {b.then} |" for b in found]
    return "\n".join(lines)


def seconds(value: float) -> str:
    """Seconds with one digit, or that it did not happen.

    >>> seconds(1.25), seconds(float("inf"))
    ('1.2 s', 'not within the run')
    """
    return "not within the run" if math.isinf(value) else f"{value:,.1f} s"


def between(low: float, high: float) -> str:
    """A range of seconds, or one of them where they are the same.

    >>> between(1.0, 2.0), between(1.0, 1.0)
    ('1.0 to 2.0 s', '1.0 s')
    """
    return seconds(high) if seconds(low) == seconds(high) else f"{low:.1f} to {seconds(high)}"


def outcomes_table(rows: Sequence[tuple[str, Sequence[Outcome]]]) -> str:
    """A row for each thing that may happen, over where between heartbeats and snapshots it strikes."""
    lines = [
        "| what happens | partitions moved | folded again after | nobody is late after | oldest record that waited | records that waited |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, outcomes in rows:
        told = [
            str(max(each.moved for each in outcomes)),
            between(min(each.resumed_s for each in outcomes), max(each.resumed_s for each in outcomes)),
            between(min(each.caught_up_s for each in outcomes), max(each.caught_up_s for each in outcomes)),
            seconds(max(each.peak_delay_s for each in outcomes)),
            f"{max(each.peak_lag for each in outcomes):,.0f}",
        ]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)
