"""Counterfactuals: below which value, and with how little a change of level, a finding would not have opened.

What its monitor was given is judged again with other values, from the start of the finding on, and the bound between
"opens" and "opens not" is found by bisection. Everything else stays as it was: state, levels, the other series.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from tocsin.app.replays.refold import Judged, Pointed
from tocsin.engine.points import PointRule
from tocsin.model.arrays import F8
from tocsin.model.codec import Json, labels_text, number_to_json
from tocsin.model.finding import Finding, Phase
from tocsin.model.text import one_line

STEPS: Final = 24
PRECISION: Final = 1e-4
"""Of the distance between where it opens and where not."""
Change: TypeAlias = Callable[[F8], F8]
Opens: TypeAlias = Callable[[Change], bool]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """`bound` is the last value (`change`: the largest move) at which it does not open; None and why, where none is."""

    finding: Finding | None
    bound: float | None = None
    change: float | None = None
    reached: float = math.nan
    moved: float = math.nan
    reason: str = ""

    @property
    def words(self) -> list[str]:
        """One sentence for each bound, or why there is none."""
        if self.finding is None or self.bound is None:
            return [f"no counterfactual: {self.reason}"]
        signal = self.finding.series.signal
        what = one_line(f"{signal.name} ({labels_text(self.finding.series.labels)})", 300)
        unit = f" {one_line(signal.unit, 20)}" if signal.unit not in ("", "1") else ""
        side = "above" if self.finding.direction == "down" else "below"
        said = [
            f"would not have opened if {what} had stayed {side} {self.bound:.6g}{unit}; it reached {self.reached:.6g}{unit}"
        ]
        if self.change is not None:
            said.append(
                f"would not have opened if its level had moved by less than {self.change:.6g}{unit}; it moved by {self.moved:.6g}{unit}"
            )
        return said

    def to_json(self) -> Json:
        """The public JSON."""
        return {
            "finding": None if self.finding is None else self.finding.id.hex(),
            "stays": None if self.finding is None else "above" if self.finding.direction == "down" else "below",
            "bound": self.bound,
            "reached": number_to_json(self.reached),
            "change_of_level": self.change,
            "moved_by": number_to_json(self.moved),
            "words": self.words,
        }


def counterfactual(finding: Finding | None, heard: Judged | Pointed | None) -> Counterfactual:
    """The bounds for a finding, from what its monitor was given."""
    if finding is None:
        return Counterfactual(None, reason="the incident has no finding")
    if heard is None or finding.direction not in ("up", "down"):
        return Counterfactual(finding, reason=f"{finding.monitor} does not judge one value by itself")
    values, opens = _windows(finding, heard) if isinstance(heard, Judged) else _points(finding, heard)
    values = values[np.isfinite(values)]
    if not len(values) or not opens(lambda value: value):
        return Counterfactual(finding, reason="the finding does not open in what its monitor was given")
    sign = -1.0 if finding.direction == "down" else 1.0
    reached = sign * float((sign * values).max())
    normal = _normal(finding, reached)

    def held(bound: float) -> Change:
        return lambda value: sign * np.minimum(sign * value, sign * bound)

    def moved(share: float) -> Change:
        return lambda value: normal + (value - normal) * share

    bound = _bisected(lambda at: opens(held(at)), normal, reached)
    if bound is None:
        return Counterfactual(finding, reason="it opens even where the value stays as expected")
    gap = abs(reached - normal)
    share = _bisected(lambda at: opens(moved(at)), 0.0, 1.0)
    return Counterfactual(finding, bound, None if share is None else share * gap, reached, gap)


def _normal(finding: Finding, reached: float) -> float:
    """What was expected: the middle of the band, or the limit where there is no band."""
    centre = finding.evidence.get("centre")
    if isinstance(centre, float) and math.isfinite(centre):
        return centre
    lower, upper = finding.expected
    limit = lower if finding.direction == "down" else upper
    return limit if math.isfinite(limit) else reached


def _bisected(opens: Callable[[float], bool], quiet: float, loud: float) -> float | None:
    """The last value between `quiet` and `loud` at which it does not open; None if it opens even at `quiet`."""
    if opens(quiet):
        return None
    least = abs(loud - quiet) * PRECISION
    for _ in range(STEPS):
        if abs(loud - quiet) <= least:
            break
        middle = (quiet + loud) / 2
        if opens(middle):
            loud = middle
        else:
            quiet = middle
    return quiet


def _windows(finding: Finding, heard: Judged) -> tuple[F8, Opens]:
    watch = heard.watch
    watch.heard = None
    row = watch.groups.of_series(finding.series)
    values = [closed.value[closed.groups == row] for _, closed, _, _ in heard.calls]

    def opens(change: Change) -> bool:
        watch.restore(heard.before)
        for tenant, closed, levels, absorb in heard.calls:
            mine = closed.groups == row
            value = np.where(mine, change(closed.value), closed.value)
            _, news = watch.judge(tenant, replace(closed, value=value), levels, absorb)
            if any(each.phase is Phase.OPEN and each.series.id == finding.series.id for each in news):
                return True
        return False

    return np.concatenate([np.zeros(0), *values]), opens


def _points(finding: Finding, heard: Pointed) -> tuple[F8, Opens]:
    rows = heard.rule.rows
    row = rows.of_series(finding.series)
    heard.rule.heard = None
    mine = [(time[r == row], value[r == row]) for r, time, value in heard.calls]
    before = [each for each in heard.before if each[0] == row]

    def opens(change: Change) -> bool:
        rule = PointRule(heard.rule.spec, rows)
        rule.watch(row)
        rule.restore(before)
        for time, value in mine:
            since = time >= finding.start
            news = rule.fold(np.full(len(time), row, "i4"), time, np.where(since, change(value), value))
            if any(each.phase is Phase.OPEN for each in news):
                return True
        return False

    values = [value[time >= finding.start] for time, value in mine]
    return np.concatenate([np.zeros(0), *values]), opens
