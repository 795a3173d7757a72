"""`BlindWatch`: targets that vanish, tell only zeros or come late, as findings of kind `blind`, one a target.

It looks at all series of a target together: single series come and go with what they count. A target that another one
replaces is none, nor is a copy fewer where there were ever so few; and one that was away before is waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.engine.call_episodes import Episodes
from tocsin.model.arrays import I4, I8, Mask
from tocsin.model.finding import Finding
from tocsin.model.rows import Rows
from tocsin.model.security import BLIND, KIND
from tocsin.model.series import Labels, Signal
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.spec.engine import EngineSpec
from tocsin.window.presence import Presence, Presences

SECOND: Final = 10**9
SIGNALS: Final = {
    Presence.ABSENT: Signal("telemetry.feed.absent", "{series}"),
    Presence.ZERO: Signal("telemetry.feed.zero", "{series}"),
    Presence.LATE: Signal("telemetry.feed.late", "{series}"),
}
HOLD_NS: Final = 60 * SECOND
ALIVE_NS: Final = 3600 * SECOND
"""A target must have told something for so long before its silence is news."""
REPLACED_NS: Final = 600 * SECOND
GIVEN_UP_NS: Final = 7 * 86_400 * SECOND
"""Nobody waits longer for what vanished: its finding ends, and says so."""
SHARE: Final = 0.9
LEAST_ZERO: Final = 2
HOUR_NS: Final = 3600 * SECOND
HOURS: Final = 168
KNOWN_HOURS: Final = 24
MOST_FEEDS: Final = 20_000
_NEVER: Final = -1
_HABIT: Final = 5


@dataclass(slots=True)
class _Target:
    """One target of a feed: when it was first and last live, its longest silence, and since when it is blind, by state."""

    tenant: str
    labels: Labels
    feed: int
    first: int
    live: int
    silence: int = 0
    since: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Feed:
    """Copies that send the same: how many were live in each hour of a week at least, when one was last new, or live."""

    hour: int = _NEVER
    least: int = 0
    past: deque[int] = field(default_factory=lambda: deque(maxlen=HOURS))
    fresh: int = 0
    live: int = 0


class BlindWatch:
    """Pure: what it says depends on states of series and on ticks alone."""

    def __init__(self) -> None:
        self.episodes = Episodes()
        self.left_out = 0
        self._feed_labels: Sequence[str] = ()
        self._target_labels: Sequence[str] = ()
        self._targets: list[_Target] = []
        self._feeds: list[_Feed] = []
        self._numbers: dict[tuple[str, Labels], int] = {}
        self._feed_numbers: dict[tuple[str, str, str], int] = {}
        self._of_row: I4 = np.zeros(0, "i4")
        self._alive: I8 = np.zeros(0, "i8")
        self._odd: dict[Presence, set[int]] = {which: set() for which in SIGNALS}

    def adopt(self, spec: EngineSpec) -> None:
        """Put monitors into force, and by which labels targets are told apart."""
        self.episodes.adopt(spec.all_monitors())
        labels = (
            [label for pack in spec.packs for label in pack.feeds],
            [t for pack in spec.packs for t in pack.targets],
        )
        if labels != (self._feed_labels, self._target_labels):
            self._feed_labels, self._target_labels = labels
            self._of_row = np.zeros(0, "i4")  # rows are looked at anew; what is known of targets stays

    def close(self, presences: Presences, rows: Rows, received: int, *, away: bool) -> list[Finding]:
        """Judge all targets at a tick, after the states of series were decided; give all news."""
        n = min(len(rows), len(presences.source))
        known = np.flatnonzero((presences.source[:n] >= 0) & (presences.count[:n] >= 1))
        self._number(known, rows, received)
        if not self._targets:
            return []
        of = self._of_row[known]
        known, of = known[of >= 0], of[of >= 0]
        state = presences.state[known]
        due = presences.count[known] >= _HABIT
        shares = {
            Presence.ABSENT: self._share(of, state == Presence.ABSENT, due),
            Presence.ZERO: self._share(of, state == Presence.ZERO, due & (presences.changes[known] > 1)),
            Presence.LATE: self._share(of, state == Presence.LATE, due & (state != Presence.ABSENT)),
        }
        self._live(shares[Presence.ABSENT][2], received)
        for which, (share, count, _) in shares.items():
            odd = set(np.flatnonzero(share >= SHARE).tolist())
            for number in sorted(odd | self._odd[which]):
                target = self._targets[number]
                self._judge(target, which, float(share[number]), int(count[number]), received, away=away)
            self._odd[which] = odd | {number for number in self._odd[which] if which in self._targets[number].since}
        return self.episodes.close(received)

    def _share(self, of: I4, odd: Mask, due: Mask) -> tuple[Any, Any, Any]:
        """Of the series of each target that are due: the share that is odd, how many are, and how many are not."""
        n = len(self._targets)
        total = np.bincount(of[due], minlength=n)
        count = np.bincount(of[due & odd], minlength=n)
        return np.divide(count, total, out=np.zeros(n), where=total > 0), count, total - count

    def _number(self, known: I8, rows: Rows, received: int) -> None:
        if len(self._of_row) < len(rows):
            new = np.full(len(rows) - len(self._of_row), -2, "i4")
            self._of_row = np.concatenate([self._of_row, new])
        for row in known[self._of_row[known] == -2].tolist():
            self._of_row[row] = self._target(rows, row, received)

    def _target(self, rows: Rows, row: int, received: int) -> int:
        series = rows.series(row)
        told = dict(series.labels)
        feed = next(((name, told[name]) for name in self._feed_labels if told.get(name)), None)
        target = next(((name, told[name]) for name in self._target_labels if told.get(name)), None)
        labels = tuple(sorted({pair for pair in (feed, target) if pair is not None}))
        if not labels:
            return -1
        key = (series.tenant, labels)
        if key not in self._numbers:
            if len(self._targets) >= MOST_FEEDS:
                self.left_out += 1
                return -1
            name, value = feed or labels[0]
            number = self._feed_numbers.setdefault((series.tenant, name, value), len(self._feeds))
            if number == len(self._feeds):
                self._feeds.append(_Feed())
            self._feeds[number].fresh = received
            self._numbers[key] = len(self._targets)
            self._targets.append(_Target(series.tenant, labels, number, received, received))
        return self._numbers[key]

    def _live(self, live: Any, received: int) -> None:
        """Note which targets live, and how many of each feed do."""
        alive = np.zeros(len(self._feeds), "i8")
        for target, count in zip(self._targets, live.tolist(), strict=True):
            if count > 0:
                if received - target.live > HOLD_NS:
                    target.silence = max(target.silence, received - target.live)
                target.live = received
                alive[target.feed] += 1
        for feed, count in zip(self._feeds, alive.tolist(), strict=True):
            if received // HOUR_NS != feed.hour:
                if feed.hour != _NEVER:
                    feed.past.append(feed.least)
                feed.hour, feed.least = received // HOUR_NS, count
            if count:  # an hour of silence teaches nothing
                feed.least, feed.live = min(feed.least, count) if feed.least else count, received
        self._alive = alive

    def _judge(self, target: _Target, which: Presence, share: float, count: int, received: int, *, away: bool) -> None:
        signal = SIGNALS[which]
        odd = share >= (1.0 if which is Presence.ABSENT else SHARE)
        if which is Presence.ZERO:
            odd = odd and count >= LEAST_ZERO
        if not odd or count == 0:
            # silence is no recovery: what was zero or late and then vanished stays so
            if target.since.pop(which, None) is not None and share < SHARE:
                self.episodes.calm(target.tenant, signal, target.labels, received)
            return
        since = target.since.setdefault(which, received)
        if away:
            target.since[which] = received
        if received - since < HOLD_NS or not self._news(target, which, received):
            return
        if which is Presence.ABSENT and received - target.live > GIVEN_UP_NS:
            self.episodes.calm(target.tenant, signal, target.labels, received)
            return
        self._say(target, which, count, received)

    def _news(self, target: _Target, which: Presence, received: int) -> bool:
        """Whether a target that is blind is one that was to be seen."""
        if self.episodes.holds(target.tenant, SIGNALS[which], target.labels):
            return True
        if which is not Presence.ABSENT:
            return received - target.first >= ALIVE_NS
        if target.live - target.first < ALIVE_NS or received - target.live <= 2 * target.silence:
            return False
        feed = self._feeds[target.feed]
        if not self._alive[target.feed]:
            return target.live >= feed.live - REPLACED_NS  # what went long before the last was let go
        few = len(feed.past) >= KNOWN_HOURS and int(self._alive[target.feed]) < min(feed.past)
        return few and feed.fresh < target.live - REPLACED_NS

    def _say(self, target: _Target, which: Presence, count: int, received: int) -> None:
        what = one_line(", ".join(f"{key}={value}" for key, value in target.labels), 120)
        series = f"{count:,} series" if count != 1 else "its one series"
        since = target.live if which is Presence.ABSENT else target.since[which]
        clock = time_to_json(since)[11:19]
        said = {
            Presence.ABSENT: f"vanished: {what} told its last at {clock} UTC, all of {series} are silent",
            Presence.ZERO: f"zeroed: {series} of {what} became zero together, by {clock} UTC",
            Presence.LATE: f"late: {series} of {what} come far later than usual, since {clock} UTC",
        }[which]
        evidence: dict[str, float | str] = {
            "detector": "blind",
            KIND: BLIND,
            "state": which.name.lower(),
            "deviation": said,
            "severity_ratio": 1.6,
        }
        self.episodes.tell(target.tenant, SIGNALS[which], target.labels, received, float(count), evidence, start=since)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree; which row is of which target is read from labels again."""
        return {
            "episodes": self.episodes.snapshot(),
            "targets": [
                [
                    t.tenant,
                    [list(pair) for pair in t.labels],
                    t.feed,
                    t.first,
                    t.live,
                    t.silence,
                    sorted(t.since.items()),
                ]
                for t in self._targets
            ],
            "feeds": [[f.hour, f.least, list(f.past), f.fresh, f.live] for f in self._feeds],
            "names": [[*key, number] for key, number in self._feed_numbers.items()],
            "left_out": self.left_out,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the spec in force."""
        self.episodes.restore(state["episodes"])
        for tenant, pairs, feed, first, live, silence, since in state["targets"]:
            labels = tuple((str(key), str(value)) for key, value in pairs)
            self._numbers[tenant, labels] = len(self._targets)
            self._targets.append(
                _Target(tenant, labels, feed, first, live, silence, {int(a): int(b) for a, b in since})
            )
        self._feeds = [
            _Feed(hour, least, deque(past, maxlen=HOURS), *times) for hour, least, past, *times in state["feeds"]
        ]
        self._feed_numbers = {(a, b, c): number for a, b, c, number in state["names"]}
        self.left_out = state["left_out"]
        for which in SIGNALS:
            self._odd[which] = {number for number, target in enumerate(self._targets) if which in target.since}
