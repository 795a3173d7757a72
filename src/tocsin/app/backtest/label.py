"""What a label asks for: a false alarm that its series must be further out of line, a true one that it need not be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from tocsin.app.backtest.history import History
from tocsin.app.backtest.plan import LEARNING, LEVEL
from tocsin.app.backtest.work import Part, Work, side_of
from tocsin.model.codec import Json
from tocsin.model.decision import Verdict
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident
from tocsin.spec.config import Config
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.pack import PackSpec
from tocsin.store.history_rows import HistoryRows, Stretch

MARGIN: Final = 0.5
"""Decades of rarity that a false alarm must be passed by."""
Asks: TypeAlias = dict[tuple[str, bytes], float]
"""Log10 p that is needed, by monitor and series."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a label comes to for one series of a monitor; `after` None: nothing is asked of it any more."""

    finding: Finding
    before: float | None
    after: float | None
    worst: float
    reason: str = ""

    def to_json(self) -> Json:
        """The JSON of it; levels as log10 p, None where only the budget counts."""
        series = self.finding.series
        return {
            "monitor": self.finding.monitor,
            "signal": series.signal.name,
            "labels": dict(series.labels),
            "worst_log10_p": None if math.isinf(self.worst) else self.worst,
            "level_then": None if math.isnan(self.finding.level) else self.finding.level,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }


def asked_by(
    rows: HistoryRows,
    incident: Incident,
    verdict: Verdict,
    now: Asks,
    real: Sequence[Incident],
    monitors: Mapping[str, MonitorSpec],
) -> tuple[Asks, list[Asked]]:
    """What is asked of all series once an incident is labelled, and what of that is new; `real` are true ones."""
    after, said = dict(now), []
    for finding in _one_a_series(incident.findings):
        key = finding.monitor, finding.series.id
        worst = _worst(rows, finding)
        monitor = monitors.get(finding.monitor)
        if not math.isfinite(worst) or monitor is None or monitor.together or monitor.detect.threshold is not None:
            reason = "no calibrated level decides here: change the monitor, `tocsin plan` shows what that comes to"
            said.append(Asked(finding, now.get(key), now.get(key), worst, reason))
            continue
        true = [_worst(rows, each) for one in real for each in one.findings if (each.monitor, each.series.id) == key]
        level, reason = _level(verdict, worst, now.get(key), true)
        if level is None:
            after.pop(key, None)
        else:
            after[key] = level
        said.append(Asked(finding, now.get(key), level, worst, reason))
    return after, said


def _level(verdict: Verdict, worst: float, before: float | None, true: Iterable[float]) -> tuple[float | None, str]:
    if verdict == "real_problem":
        if before is None or worst <= before:
            return before, "it opens as things are"
        return worst, "eased, so that it opens again"
    wanted = min(worst - MARGIN, before or 0.0)
    least = max((each for each in true if math.isfinite(each)), default=-math.inf)
    if least > wanted:
        if least > worst:
            return before, "a true one was less out of line: the two can't be told apart by that"
        return least, "held where a true one still opens"
    return wanted, ""


def _one_a_series(findings: Sequence[Finding]) -> list[Finding]:
    found: dict[tuple[str, bytes], Finding] = {}
    for each in sorted(findings, key=lambda each: (each.start, each.id)):
        found.setdefault((each.monitor, each.series.id), each)
    return list(found.values())


def _worst(rows: HistoryRows, finding: Finding) -> float:
    """The least log10 p of a finding's windows; infinite where nothing is known."""
    told = [finding.log10_p, *(float(v) for k, v in finding.evidence.items() if k == "worst.log10_p")]
    stretch = Stretch(finding.series.tenant, finding.start, max(finding.end, finding.time) + 1)
    for table in rows.read("panes", stretch, monitor=[finding.monitor], series=[finding.series.id]):
        told += [value for value in table.column("log10_p").to_pylist() if value is not None]
    return min((each for each in told if not math.isnan(each)), default=math.inf)


def as_asks(listed: Sequence[Sequence[Any]]) -> Asks:
    """Asks from the list that a record holds."""
    return {(str(monitor), bytes.fromhex(ref)): float(level) for monitor, ref, level in listed}


def as_list(asks: Asks) -> list[list[Any]]:
    """Asks as a record holds them."""
    return [[monitor, ref.hex(), level] for (monitor, ref), level in sorted(asks.items())]


def prepare_label(
    rows: HistoryRows,
    stretch: Stretch,
    config: Config,
    packs: Sequence[PackSpec],
    both: tuple[Asks, Asks],
    directory: Path,
) -> Work | None:
    """Copy the history of the series that a label concerns; None where it changes nothing or nothing is stored.

    Raises
    ------
    BadInput
        There is more history than can be judged again in reasonable time.
    """
    before, after = both
    touched = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    first = rows.first(stretch.tenant)
    if not touched or not first or first >= stretch.end:
        return None
    stretch = Stretch(stretch.tenant, max(stretch.start, first), stretch.end)
    monitors = {each.name: each for each in config.engine_spec(packs).all_monitors()}
    parts = [
        Part(f"panes-{number}", "panes", name)
        for number, name in enumerate(sorted({monitor for monitor, _ in touched} & monitors.keys()))
    ]
    history = History(directory, stretch)
    for part in parts:
        mine = sorted(ref for monitor, ref in touched if monitor == part.monitor)
        history.take(rows, part.name, "panes", monitor=[part.monitor], series=mine)
    history.close()
    work = Work(
        side_of(config, asks=as_list(before)),
        side_of(config, asks=as_list(after)),
        parts,
        stretch.start + (stretch.end - stretch.start) // LEARNING,
        rows.levels(LEVEL, "family"),
        sum(rows.monitors(stretch).values()) * 10_080.0,
    )
    work.write(directory)
    return work
