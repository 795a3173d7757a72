"""`GradeWatch`: stars and points that people give - when their mean falls below what is usual, of whom, and of which segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.assess.grades import Fall, GradeTally
from tocsin.derive.grades import rounded, scale_of
from tocsin.derive.votes import Vote
from tocsin.engine.call_episodes import Episodes
from tocsin.engine.segment_tallies import WHOLE, Of, Segment, SegmentTallies
from tocsin.model.series import Signal
from tocsin.model.text import one_line

FALL: Final = Signal("gen_ai.feedback.grade_fall", "1")
LEVEL_LOG10: Final = -5.0
CALM_RATIO: Final = 0.8
NAMED_RATIO: Final = 1.25
LEAST_GRADED_RATIO: Final = 0.05
"""Share of grades other than -1, 0 and 1 from which on a name is one of grades, not of yes and no."""
_VOTES: Final = frozenset({-1.0, 0.0, 1.0})
_Scale = tuple[float, float]
_SHARE: Final[_Scale] = (0.0, 1.0)


class GradeWatch:
    """Pure: what it says depends on grades and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._tallies = SegmentTallies(GradeTally)
        self._told: dict[Of, _Scale] = {}
        self._beyond = 0

    @property
    def left_out(self) -> int:
        """Grades of segments beyond the most, and those beyond any scale."""
        return self._tallies.left_out + self._beyond

    def take(self, of: Of, segments: Sequence[Segment], vote: Vote) -> None:
        """Take a grade in; of a name whose scale is told, as a share of that."""
        told = (vote.low, vote.high) if vote.low < vote.high else self._told.get(of)
        low, high = told or _SHARE
        value = rounded((vote.grade - low) / (high - low))
        if value is None or (told is not None and not 0 <= value <= 1):
            self._beyond += 1
            return
        if told != self._told.get(of):  # on another scale until now
            self._tallies.forget(of)
            self._told.pop(of, None)
        for segment in segments:
            tally = self._tallies.at(of, segment)
            if tally is not None:
                tally.add(vote.time, value)
        if told is not None and self._tallies.of(of):  # names come from telemetry: as many scales as there is room
            self._told[of] = told

    def graded(self, of: Of) -> bool:
        """Whether it is grades that people give by this name, not yes and no."""
        if of in self._told:
            return True
        whole = self._tallies.of(of).get(WHOLE)
        counts = whole.counts() if whole is not None else {}
        others = sum(count for value, count in counts.items() if value not in _VOTES)
        return others > 0 and others >= LEAST_GRADED_RATIO * sum(counts.values())

    def judge(self, of: Of, labels: Mapping[str, str], at: int) -> None:
        """Say whether grades have fallen, of the whole or of a segment."""
        limit = self._episodes.limit(FALL.name)
        tallies = self._tallies.of(of)
        values = {value for tally in tallies.values() for value in tally.counts()}
        scale = _SHARE if of in self._told else scale_of(values)
        last = max(tally.last for tally in tallies.values())
        whole_of = tallies.get(WHOLE)
        found = {key: tally.fall(scale, last, whole_of) for key, tally in tallies.items()}
        falls = {key: fall for key, fall in found.items() if fall is not None}
        bad = {key: fall for key, fall in falls.items() if fall.fall_ratio > limit and fall.log10_p < LEVEL_LOG10}
        whole = falls.get(WHOLE)
        if not bad:
            if whole is not None and whole.fall_ratio < CALM_RATIO * limit:
                self._episodes.calm(of[0], FALL, labels, at)
            return
        worst = _worst(falls, bad)
        told = bad.get(WHOLE, bad[worst])
        self._episodes.tell(of[0], FALL, labels, at, told.fall_ratio, self._said(of, scale, worst, told, falls[worst]))

    def _said(self, of: Of, scale: _Scale, worst: Segment, told: Fall, of_worst: Fall) -> dict[str, float | str]:
        low, high = self._told.get(of, _SHARE)
        mean, usual, of_segment = (low + each * (high - low) for each in (told.mean, told.usual, of_worst.mean))
        ends = self._told.get(of, scale)
        where = "" if worst == WHOLE else f", most of {one_line(worst[1], 40)}"
        found: dict[str, float | str] = {
            "deviation": f"{mean:.3g} on average of {told.n} grades in an hour, usually {usual:.3g}{where}",
            "n": float(told.n),
            "usual": round(usual, 4),
            "scale": f"{ends[0]:g} to {ends[1]:g}",
            "log10_p": round(told.log10_p, 2),
        }
        if worst != WHOLE:
            segment = f"{worst[0]}={one_line(worst[1], 80)}"
            found |= {"segment": segment, "segment_mean": round(of_segment, 4), "segment_n": float(of_worst.n)}
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "tallies": self._tallies.snapshot(),
            "told": [[*of, *scale] for of, scale in self._told.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self._tallies.restore(state["tallies"], GradeTally.of)
        self._told = {(tenant, service, name): (low, high) for tenant, service, name, low, high in state["told"]}


def _worst(falls: Mapping[Segment, Fall], bad: Mapping[Segment, Fall]) -> Segment:
    """The segment to be named: clearly fallen, and further than the whole."""
    whole = falls.get(WHOLE)
    least = NAMED_RATIO * whole.fall_ratio if whole is not None and WHOLE in bad else 0.0
    found = [key for key, fall in bad.items() if key != WHOLE and fall.fall_ratio >= least]
    return min(found, key=lambda key: (bad[key].log10_p, key), default=WHOLE)
