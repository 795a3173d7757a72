"""What a change of configuration would do to alerts, by stored history: what is judged again, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tocsin.app.backtest.history import History
from tocsin.app.backtest.makings import DISTRIBUTIONS, Makings, Needs
from tocsin.app.backtest.work import Part, Work, side_of
from tocsin.model.codec import Json, incident_to_json
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.spec.config import Config
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import nearest
from tocsin.store.history_rows import HistoryRows, Stretch

DAY_NS: Final = 86_400 * 10**9
LEARNING: Final = 7
"""Of the history the first part of so many is only learned from."""
LEVEL: Final = "tocsin.budget.level"
_WINDOWS: Final = ("signal", "where", "unless", "by", "window", "aggregate")
_ROUTING: Final = ("routes", "destinations", "severity", "objectives", "dry_run")
POINTS: Final = "points"
TELEMETRY: Final = "telemetry"
MOST_EVENTS: Final = 2_000_000
"""Spans, log lines and records that are folded again: each costs more than a point."""


@dataclass(frozen=True, slots=True)
class MonitorChange:
    """A monitor that one side has otherwise, and how that is judged: `panes`, `points`, `telemetry`, or `unknown` and why.

    `signals` are those of points and histograms that are folded for it, `tables` what else is.
    """

    name: str
    change: str
    way: str
    reason: str = ""
    signals: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The JSON of it."""
        return {"monitor": self.name, "change": self.change, "judged_by": self.way, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be judged, ready in its directory, with what needs no judging; `work` None: nothing to judge."""

    monitors: tuple[MonitorChange, ...]
    parts_changed: tuple[str, ...]
    work: Work | None
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything would change."""
        return bool(self.parts_changed)

    def to_json(self, judged: Json | None) -> Json:
        """The public JSON, with what judging came to."""
        return {
            "changed": self.changed,
            "parts": list(self.parts_changed),
            "monitors": [each.to_json() for each in self.monitors],
            "notes": list(self.notes),
            "difference": judged,
        }


def prepare(
    rows: HistoryRows,
    stretch: Stretch,
    before: Config,
    after: Config,
    packs: Sequence[PackSpec],
    recorded: Sequence[Incident],
    directory: Path,
) -> Planned:
    """Find out what changes, and copy the history that tells what that comes to into a directory.

    Raises
    ------
    BadInput
        There is more history than can be judged again in reasonable time.
    """
    parts_changed = tuple(name for name in Config.model_fields if getattr(before, name) != getattr(after, name))
    if not parts_changed:
        return Planned((), (), None)
    first = rows.first(stretch.tenant)
    if not first or first >= stretch.end:
        return Planned((), parts_changed, None, ("nothing is stored yet that could tell what this comes to",))
    stretch = Stretch(stretch.tenant, max(stretch.start, first), stretch.end)
    judged = rows.monitors(stretch)
    easier = _easier(before, after)
    stored = Stored(Makings(packs, rows.signals(stretch.tenant)), rows, stretch)
    changes = _changes(before, after, packs, stored, judged, everything=easier != 0.0)
    monitors = {each.name: each for each in before.engine_spec(packs).all_monitors()}
    weeks = {name: n * _windows_per_week(monitors[name]) for name, n in judged.items() if name in monitors}
    work = Work(
        side_of(before),
        side_of(after, easier),
        _parts(changes),
        stretch.start + (stretch.end - stretch.start) // LEARNING,
        rows.levels(LEVEL, "family"),
        sum(weeks.values()),
        _others(recorded, changes, parts_changed, stretch),
    )
    history = History(directory, stretch)
    for part in work.parts:
        if part.way == "panes":
            history.take(rows, part.name, "panes", monitor=[part.monitor])
            continue
        signals = sorted({name for each in changes if each.way == part.way for name in each.signals})
        history.take(rows, part.name, "points", signal=signals)
        for table in part.tables:
            history.take_frames(rows, part.name, table, **({"signal": signals} if table == DISTRIBUTIONS else {}))
    history.close()
    work.write(directory)
    return Planned(changes, parts_changed, work, _notes(easier, changes))


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a stretch that monitors could be given again."""

    makings: Makings
    rows: HistoryRows
    stretch: Stretch

    def counted(self, tables: Iterable[str]) -> dict[str, int]:
        """How many rows there are of tables other than points; only of those that have any."""
        counts = {table: self.rows.rows(table, self.stretch) for table in sorted(set(tables) - {POINTS})}
        return {table: count for table, count in counts.items() if count}


def prepare_drill(
    rows: HistoryRows,
    stretch: Stretch,
    config: Config,
    packs: Sequence[PackSpec],
    wanted: Sequence[str],
    directory: Path,
) -> bool:
    """Copy what the wanted monitors (all, if none is named) judged; False where that is nothing.

    Raises
    ------
    BadInput
        There is more than can be judged again in reasonable time, or no monitor has such a name.
    """
    monitors = {each.name: each for each in config.engine_spec(packs).all_monitors()}
    for name in wanted:
        if name not in monitors:
            raise BadInput(f"no monitor is called {name[:80]!r}{nearest(name, monitors)}")
    first = rows.first(stretch.tenant)
    if not first or first >= stretch.end:
        return False
    stretch = Stretch(stretch.tenant, max(stretch.start, first), stretch.end)
    judged = rows.monitors(stretch)
    names = [
        name
        for name in judged
        if (not wanted or name in wanted)
        and (each := monitors.get(name)) is not None
        and not (each.per_point or each.together or each.detect.onnx is not None)
    ]
    history = History(directory, stretch)
    parts = [Part(f"panes-{number}", "panes", name) for number, name in enumerate(names)]
    for part in parts:
        history.take(rows, part.name, "panes", monitor=[part.monitor])
    history.close()
    windows = sum(n * _windows_per_week(monitors[name]) for name, n in judged.items() if name in monitors)
    since = stretch.start + (stretch.end - stretch.start) // LEARNING
    side = side_of(config)
    Work(side, side, parts, since, rows.levels(LEVEL, "family"), windows).write(directory)
    return bool(parts)


def _easier(before: Config, after: Config) -> float:
    """By how much the levels rise with the budget, in decades: a rate of false pages is a tail of the p-values."""
    old, new = before.engine_spec(), after.engine_spec()
    return math.log10(new.false_pages_per_week / old.false_pages_per_week)


def _windows_per_week(monitor: MonitorSpec) -> float:
    size = monitor.window.size if monitor.window is not None else 60 * 10**9
    return 7 * DAY_NS / size


def _notes(easier: float, changes: Sequence[MonitorChange]) -> tuple[str, ...]:
    found = []
    if easier:
        found.append(f"the budget moves every level by {easier:+.2f} decades")
    if any(each.way == "unknown" for each in changes):
        found.append("what is unknown is left out of the figures")
    return tuple(found)


def _changes(
    before: Config,
    after: Config,
    packs: Sequence[PackSpec],
    stored: Stored,
    judged: Mapping[str, int],
    *,
    everything: bool,
) -> tuple[MonitorChange, ...]:
    old = {each.name: each for each in before.engine_spec(packs).all_monitors()}
    new = {each.name: each for each in after.engine_spec(packs).all_monitors()}
    found = []
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if one != other or (everything and name in judged):
            found.append(_change(name, one, other, stored, judged))
    # a monitor whose signals are judged by points anyway is judged there, and not twice
    by_points = {signal for each in found if each.way == POINTS for signal in each.signals}
    return tuple(
        MonitorChange(each.name, each.change, POINTS, each.reason, tuple(sorted(mine)))
        if each.way == "panes" and (mine := by_points & _matching(old.get(each.name), new.get(each.name), stored))
        else each
        for each in found
    )


def _matching(one: MonitorSpec | None, other: MonitorSpec | None, stored: Stored) -> set[str]:
    return set(stored.makings.matching([each.signal for each in (one, other) if each is not None]))


def _change(
    name: str, one: MonitorSpec | None, other: MonitorSpec | None, stored: Stored, judged: Mapping[str, int]
) -> MonitorChange:
    what = "added" if one is None else "removed" if other is None else "unchanged" if one == other else "changed"
    specs = [each for each in (one, other) if each is not None]
    if any(each.together or each.detect.onnx is not None for each in specs):
        whole = "it judges all signals of an entity at once"
        reason = whole if any(each.together for each in specs) else "its model file is not part of the history"
        return MonitorChange(name, what, "unknown", reason)
    same = one is not None and other is not None and not (one.per_point or other.per_point)
    if same and all(getattr(one, key) == getattr(other, key) for key in _WINDOWS):
        if name in judged:
            return MonitorChange(name, what, "panes")
        return MonitorChange(name, what, "nothing", "it judged nothing in this time")
    return _again(name, what, _matching(one, other, stored), stored)


def _again(name: str, what: str, signals: set[str], stored: Stored) -> MonitorChange:
    """A monitor whose windows must be made again, of what its signals are made of."""
    needs, unknown = Needs(), []
    for signal in sorted(signals):
        made = stored.makings.of(signal)
        if made is None:
            unknown.append(signal)
        else:
            needs |= made
    counts = stored.counted(needs.tables)
    if not counts and POINTS not in needs.tables:
        said = f"what {unknown[0]} is made of is not stored" if unknown else "nothing that is stored has such a signal"
        return MonitorChange(name, what, "unknown" if unknown else "nothing", said)
    for table, count in counts.items():
        if table != DISTRIBUTIONS and count > MOST_EVENTS:
            return MonitorChange(
                name, what, "unknown", f"{count:,} {table} are more than {MOST_EVENTS:,}; take fewer days"
            )
    reason = f"without {', '.join(unknown[:3])}: what they are made of is not stored" if unknown else ""
    return MonitorChange(
        name, what, TELEMETRY if counts else POINTS, reason, tuple(sorted(needs.signals)), tuple(counts)
    )


def _parts(changes: Sequence[MonitorChange]) -> list[Part]:
    found = [Part(f"panes-{number}", "panes", each.name) for number, each in enumerate(changes) if each.way == "panes"]
    told = [each for each in changes if each.way == TELEMETRY]
    if any(each.way == POINTS for each in changes):
        found.append(Part(POINTS, POINTS, left_out=[each.name for each in told]))
    if told:
        tables = sorted({table for each in told for table in each.tables})
        found.append(Part(TELEMETRY, TELEMETRY, monitors=[each.name for each in told], tables=tables))
    return found


def _others(
    recorded: Sequence[Incident], changes: Sequence[MonitorChange], parts: Sequence[str], stretch: Stretch
) -> list[dict[str, Any]]:
    """Recorded incidents that have findings of other monitors: they stay; told anew where routing changes."""
    if not any(part in _ROUTING for part in parts):
        return []
    mine = {each.name for each in changes if each.way in ("panes", POINTS, TELEMETRY)}
    return [
        incident_to_json(each)
        for each in recorded
        if stretch.start <= each.opened_at < stretch.end and any(f.monitor not in mine for f in each.findings)
    ]
