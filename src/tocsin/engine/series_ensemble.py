"""`Ensemble`: several detectors on every series, each calibrated, their p-values combined; a detector like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.calibrator import Calibrator
from tocsin.detect.array import ArrayDetector
from tocsin.detect.baseline import Baseline
from tocsin.detect.registry import build, detector
from tocsin.engine.composed import Composed, by_part
from tocsin.engine.series_character import NAMES, Kind, Traits, allowance_us, members_for
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.detection import Band, Params, Scores, State, Step
from tocsin.model.errors import BadConfig
from tocsin.plugin.registry import nearest
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of

RECORDS: Final = 1.5
"""Weight of novelty beside 1 of all others together, nearly: chosen on the Numenta benchmark and on made series."""
IN_FULL: Final = 8.0
"""Decades that one member reports in full: beyond, a p-value is the extrapolation of an extrapolation."""
_SEASONS: Final = ("season_hour", "season_day", "season_week", "season_cycle_s")


class _Seats(Columns):
    """Which members run for each row, and how many values it had."""

    kind: ClassVar[str] = "seats"
    seen: I4 = column(0, "i4")
    running: I4 = column(-1, "i4")  # bits, in the order of the members; -1 before the first review


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What members said of a step, (members, n) each: raw score and log10 p, NaN where they didn't run."""

    step: Step
    score: F8
    log10_p: F8


class Ensemble(Composed):
    """Score >= 0: decades of rarity that the members report, added up; beyond 3 or so is out of the ordinary.

    Each member's scores are ranked against its own past on the series by a calibrator of its own: a decade is a factor
    of ten in its p-value; of more than 8 decades the rest counts as a logarithm. What `novelty` reports, the first of
    its kind, weighs `records`; the sum of the others is divided by the square root of their number. This is Fisher's
    statistic, which is no p-value while members depend on each other: like any detector's score it is calibrated
    against its own past by whoever asks, so that what members always say together is usual. (The harmonic mean of
    p-values, valid at once, was measured and finds less.) Which members run is chosen from the character of the
    series (see `series_character`) at its 60th value and every 240th, and from how many series there are.

    Parameters: `members`, names joined by blanks, run always and for every series in place of the choice; `records`,
    weight of novelty.

    References: R. A. Fisher, Statistical Methods for Research Workers, 1932, section 21.1; M. B. Brown, A Method for
    Combining Non-Independent, One-Sided Tests of Significance, Biometrics 1975.

    >>> d = Ensemble()
    >>> for k in range(200):
    ...     v = 60.0 if k == 199 else 50.0 + (k * 7 % 10) / 5
    ...     s = Step(np.zeros(1, "i4"), np.array([k * 60 * 10**9]), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "ensemble"

    def __init__(self, *, members: str = "", records: float = RECORDS) -> None:
        names = tuple(members.split()) or NAMES
        self._fixed = bool(members.split())
        if len(set(names)) < len(names):
            raise ValueError(f"ensemble: members must differ, got {members!r}")
        if not records >= 0:
            raise ValueError(f"ensemble: records must be at least 0, got {records}")
        self.names, self.records = names, float(records)
        self.members: list[ArrayDetector] = [build(name, {}) for name in names]
        self.calibrators = [Calibrator() for _ in names]
        self.traits, self.seats = Traits(), _Seats()
        self._record = np.array([name == "novelty" for name in names])
        self._record_bit = sum(1 << k for k, name in enumerate(names) if name == "novelty")
        self.warmup = min(member.warmup for member in self.members) + self.calibrators[0].min_scores
        self._told: _Said | None = None  # of the latest step that was scored
        self._asked: Step | None = None  # that step as it was given
        self._fresh = False  # nothing was learned since

    # -- the detector's contract -------------------------------------------------------------------------------------

    def score(self, step: Step) -> Scores:
        """Weighted decades of each row, (n,); pure; NaN until warm."""
        said = self._told = self._ask(_plain(step))
        self._fresh, self._asked = True, step
        return Scores(said.step.rows, self._combined(said), said.step.time)

    def expect(self, step: Step, limit: F8 | None = None) -> Band:
        """What the first member lets pass at `limit`, (n,), by default 3, when no other one objects; pure."""
        step = _plain(step)
        decades = np.full(len(step), 3.0) if limit is None else numbers_of(limit)
        first, calibrator = self.members[0], self.calibrators[0]
        others = np.bitwise_count(self._running(step.rows) & ~self._record_bit)
        needed = calibrator.score_at(step.rows, -decades * np.sqrt(np.maximum(others, 1)))
        band = first.expect(step, np.where(np.isfinite(needed), needed, 3.0))
        cold = self.warm(step.rows) < 1.0
        for bound in (band.lower, band.centre, band.upper):
            bound[cold] = np.nan
        return band

    def learn(self, step: Step, weight: F8) -> None:
        """Take a step in with weights in [0, 1], (n,), after what members say of it has been noted."""
        useful = np.isfinite(step.value) & (weight > 0)
        said = self._told if self._fresh and step is self._asked else None
        if not useful.all():
            step, weight, said = step.take(useful), weight[useful], None
        if not len(step):
            return
        said = said or self._said(_plain(step))
        step, self._fresh = said.step, False
        self.seats.touch(step.rows)
        running = self._running(step.rows)
        for k, (member, calibrator) in enumerate(zip(self.members, self.calibrators, strict=True)):
            on = (running >> k & 1) == 1
            if on.all():
                calibrator.learn(step.rows, said.score[k])
                member.learn(step, weight)
            elif on.any():
                calibrator.learn(step.rows[on], said.score[k][on])
                member.learn(step.take(on), weight[on])
        self.traits.learn(step)
        self.seats.seen[step.rows] += 1
        due = self.traits.due(step.rows)
        if due.size and not self._fixed:
            self._review(due)
        # where a member stands on new ground its own scores are let go here, so that decades stay decades
        for member, calibrator in zip(self.members, self.calibrators, strict=True):
            calibrator.follow(member)

    def adopt(self, params: Params) -> None:
        """Take what fitting found, with `rows` that it is for: columns by dotted name, as a snapshot has them.

        Columns without a dot are for every member that has them.
        """
        if "rows" not in params:
            return
        plain = {name: kept for name, kept in params.items() if "." not in name}
        for member in self.members:
            if any(hasattr(member, name) for name in plain):  # others need no room for these rows
                member.adopt(plain)
        rows = rows_of(params["rows"].astype(np.int32))
        self._fresh = False
        for part, columns in by_part(params).items():
            if part not in self._parts() or not all(len(kept) == len(rows) for kept in columns.values()):
                continue
            target = self._parts()[part]
            target.touch(rows)
            for name, kept in columns.items():
                getattr(target, name)[rows] = kept

    def turn(self, rows: I4, hours: I8) -> None:
        """Move what the baseline learned of the hours of the day; see `Baseline.turn`."""
        for member in self.members:
            if isinstance(member, Baseline):
                member.turn(rows, hours)
        self._fresh = False

    def explain(self, row: int) -> Mapping[str, float]:
        """Why these members were asked, what each said of the latest step, and how the baseline came about."""
        if row >= self.seats.size:
            return {}
        kind = Kind(int(self.traits.verdict[row]))
        found = {f"character.{kind.name.lower()}": 1.0, "allowance_us": allowance_us(self.seats.size)}
        told = self._told
        at = np.flatnonzero(told.step.rows == row) if told is not None else np.zeros(0, "i8")
        for name in self.members_of(row):
            k = self.names.index(name)
            if told is not None and at.size:
                found[f"member.{name}"] = float(told.score[k][at[0]])
                found[f"member.{name}.log10_p"] = float(told.log10_p[k][at[0]])
        return {**found, **self.members[0].explain(row)}

    def warm(self, rows: I4) -> F8:
        """Share of the needed history seen, (n,), in [0, 1]; 1 = scores are given."""
        self.seats.reserve(rows)
        return np.minimum(self.seats.seen[rows] / float(self.warmup), 1.0)

    def restore(self, state: State) -> None:
        """Take a snapshot of an ensemble with the same members back; see `Composed.restore`."""
        super().restore(state)
        self._fresh = False

    def forget(self, rows: I4) -> None:
        """Make these rows new."""
        for columns in self._parts().values():
            columns.forget(rows)
        self._fresh = False

    # -- members -----------------------------------------------------------------------------------------------------

    def members_of(self, row: int) -> tuple[str, ...]:
        """Names of the members that run for a row."""
        running = int(self._running(np.array([row], np.int32))[0])
        return tuple(name for k, name in enumerate(self.names) if running >> k & 1)

    def _running(self, rows: I4) -> I4:
        """Members of each row as bits, (n,)."""
        if self._fixed:
            return np.full(rows.size, (1 << len(self.names)) - 1, np.int32)
        self.seats.reserve(rows)
        running = self.seats.running[rows]
        found: I4 = np.where(running < 0, self._bits(Kind.UNKNOWN), running)
        return found

    def _bits(self, kind: Kind) -> int:
        return sum(1 << self.names.index(name) for name in members_for(kind, max(self.seats.size, 1)))

    def _review(self, rows: I4) -> None:
        """Look at what rows are like, and let members come and go."""
        first = self.members[0]
        seasonal = np.array([any(first.explain(row).get(name) for name in _SEASONS) for row in rows.tolist()])
        kinds = self.traits.review(rows, seasonal)
        before = self._running(rows)
        after = np.array([self._bits(Kind(kind)) for kind in kinds.tolist()], np.int32)
        self.seats.running[rows] = after
        for k, (member, calibrator) in enumerate(zip(self.members, self.calibrators, strict=True)):
            gone = rows[(before & ~after) >> k & 1 == 1]
            if gone.size:
                member.forget(gone)
                calibrator.forget(gone)

    def _said(self, step: Step) -> _Said:
        """What members said of these rows when they were scored, or, after anything was learned, say now."""
        told = self._told
        if not self._fresh or told is None:
            return self._ask(step)
        order = np.argsort(told.step.rows)
        at = order[np.minimum(np.searchsorted(told.step.rows, step.rows, sorter=order), len(order) - 1)]
        same = (told.step.rows[at] == step.rows) & (told.step.time[at] == step.time)
        if not (same & (told.step.value[at] == step.value)).all():
            return self._ask(step)
        return _Said(step, told.score[:, at], told.log10_p[:, at])

    def _ask(self, step: Step) -> _Said:
        shape = (len(self.names), len(step))
        score, log10_p = np.full(shape, np.nan), np.full(shape, np.nan)
        running = self._running(step.rows)
        for k, (member, calibrator) in enumerate(zip(self.members, self.calibrators, strict=True)):
            on = (running >> k & 1) == 1
            if on.all():
                score[k] = member.score(step).value
                log10_p[k], _ = calibrator.log10_p(step.rows, score[k])
            elif on.any():
                asked = step.take(on)
                score[k][on] = member.score(asked).value
                log10_p[k][on], _ = calibrator.log10_p(asked.rows, score[k][on])
        return _Said(step, score, log10_p)

    def _combined(self, said: _Said) -> F8:
        known = np.isfinite(said.log10_p)
        ready = known.any(axis=0) & (self.warm(said.step.rows) >= 1.0)
        decades = np.where(known, -said.log10_p, 0.0)
        counted = np.where(
            decades <= IN_FULL, decades, IN_FULL * (1.0 + np.log(np.maximum(decades, IN_FULL) / IN_FULL))
        )
        record = self._record
        others = np.maximum(known[~record].sum(axis=0), 1)
        total = counted[~record].sum(axis=0) / np.sqrt(others) + self.records * counted[record].sum(axis=0)
        return np.where(ready, total, np.nan)

    def _parts(self) -> dict[str, Columns]:
        found: dict[str, Columns] = {"traits": self.traits, "seats": self.seats}
        for name, member, calibrator in zip(self.names, self.members, self.calibrators, strict=True):
            found |= {name: member, f"{name}.calibrator": calibrator}
        return found


def ensemble(params: Mapping[str, float | str]) -> Ensemble:
    """Make an ensemble from keyword parameters.

    Raises
    ------
    BadConfig
        Nobody knows a parameter or a member, or a value is out of range; the message says what is near.

    >>> ensemble({"members": "baseline knn"}).names
    ('baseline', 'knn')
    """
    members, records = params.get("members", ""), params.get("records", RECORDS)
    for given in params:
        if given not in {"members", "records"}:
            raise BadConfig(f"detector 'ensemble' has no parameter {given!r}: {nearest(given, ['members', 'records'])}")
    if not isinstance(members, str) or isinstance(records, str):
        raise BadConfig(f"ensemble: members are names and records is a number, got {members!r} and {records!r}")
    try:
        return Ensemble(members=members, records=records)
    except ValueError as refused:
        raise BadConfig(str(refused)) from refused


def import_detector(name: str) -> None:
    """Import all that a detector of this name is made of, the ensemble's members too, so that it can be compiled."""
    for each in NAMES if name == Ensemble.name else (name,):
        detector(each)


def _plain(step: Step) -> Step:
    return Step(rows_of(step.rows), times_of(step.time), numbers_of(step.value), step.season)
