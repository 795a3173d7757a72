"""`GradeWatch`: stars and points that people give - when their mean falls below what is usual, of whom, and of which segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.assess.grades import Fall, GradeTally
from tocsin.derive.grades import rounded, scale_of
from tocsin.derive.votes import Vote
from tocsin.engine.call_episodes import Episodes
from tocsin.model.series import Signal
from tocsin.model.text import one_line

FALL: Final = Signal("gen_ai.feedback.grade_fall", "1")
MOST_TALLIES: Final = 1_000
LEVEL_LOG10: Final = -5.0
CALM_RATIO: Final = 0.8
NAMED_RATIO: Final = 1.25
LEAST_GRADED_RATIO: Final = 0.05
"""Share of grades other than -1, 0 and 1 from which on a name is one of grades, not of yes and no."""
_VOTES: Final = frozenset({-1.0, 0.0, 1.0})
_Of = tuple[str, str, str]
_Segment = tuple[str, str]
_WHOLE: Final = ("", "")
_Scale = tuple[float, float]
_SHARE: Final[_Scale] = (0.0, 1.0)


class GradeWatch:
    """Pure: what it says depends on grades and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._tallies: dict[_Of, dict[_Segment, GradeTally]] = {}
        self._told: dict[_Of, _Scale] = {}
        self._size = 0
        self.left_out = 0

    def take(self, of: _Of, segments: Sequence[_Segment], vote: Vote) -> None:
        """Take a grade in; of a name whose scale is told, as a share of that."""
        if vote.low < vote.high and self._told.get(of) != (vote.low, vote.high):
            self._size -= len(self._tallies.pop(of, {}))  # on another scale until now
            self._told[of] = (vote.low, vote.high)
        low, high = self._told.get(of, _SHARE)
        value = rounded((vote.grade - low) / (high - low))
        if value is None or (of in self._told and not 0 <= value <= 1):
            self.left_out += 1
            return
        tallies = self._tallies.setdefault(of, {})
        for segment in segments:
            tally = tallies.get(segment)
            if tally is None:
                if self._size >= MOST_TALLIES:
                    self.left_out += 1
                    continue
                self._size += 1
                tally = tallies[segment] = GradeTally()
            tally.add(vote.time, value)

    def graded(self, of: _Of) -> bool:
        """Whether it is grades that people give by this name, not yes and no."""
        if of in self._told:
            return True
        counts = self._tallies[of][_WHOLE].counts() if _WHOLE in self._tallies.get(of, {}) else {}
        others = sum(count for value, count in counts.items() if value not in _VOTES)
        return others > 0 and others >= LEAST_GRADED_RATIO * sum(counts.values())

    def judge(self, of: _Of, labels: Mapping[str, str], at: int) -> None:
        """Say whether grades have fallen, of the whole or of a segment."""
        limit = self._episodes.limit(FALL.name)
        tallies = self._tallies[of]
        values = {value for tally in tallies.values() for value in tally.counts()}
        scale = _SHARE if of in self._told else scale_of(values)
        last = max(tally.last for tally in tallies.values())
        whole_of = tallies.get(_WHOLE)
        found = {key: tally.fall(scale, last, whole_of) for key, tally in tallies.items()}
        falls = {key: fall for key, fall in found.items() if fall is not None}
        bad = {key: fall for key, fall in falls.items() if fall.fall_ratio > limit and fall.log10_p < LEVEL_LOG10}
        whole = falls.get(_WHOLE)
        if not bad:
            if whole is not None and whole.fall_ratio < CALM_RATIO * limit:
                self._episodes.calm(of[0], FALL, labels, at)
            return
        worst = _worst(falls, bad)
        told = bad.get(_WHOLE, bad[worst])
        self._episodes.tell(of[0], FALL, labels, at, told.fall_ratio, self._said(of, scale, worst, told, falls[worst]))

    def _said(self, of: _Of, scale: _Scale, worst: _Segment, told: Fall, of_worst: Fall) -> dict[str, float | str]:
        low, high = self._told.get(of, _SHARE)
        mean, usual, of_segment = (low + each * (high - low) for each in (told.mean, told.usual, of_worst.mean))
        ends = self._told.get(of, scale)
        where = "" if worst == _WHOLE else f", most of {one_line(worst[1], 40)}"
        found: dict[str, float | str] = {
            "deviation": f"{mean:.3g} on average of {told.n} grades in an hour, usually {usual:.3g}{where}",
            "n": float(told.n),
            "usual": round(usual, 4),
            "scale": f"{ends[0]:g} to {ends[1]:g}",
            "log10_p": round(told.log10_p, 2),
        }
        if worst != _WHOLE:
            segment = f"{worst[0]}={one_line(worst[1], 80)}"
            found |= {"segment": segment, "segment_mean": round(of_segment, 4), "segment_n": float(of_worst.n)}
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "tallies": [
                [*of, *segment, tally.snapshot()]
                for of, tallies in self._tallies.items()
                for segment, tally in tallies.items()
            ],
            "told": [[*of, *scale] for of, scale in self._told.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self._tallies, self._size = {}, len(state["tallies"])
        for tenant, service, name, key, value, told in state["tallies"]:
            self._tallies.setdefault((tenant, service, name), {})[key, value] = GradeTally.of(told)
        self._told = {(tenant, service, name): (low, high) for tenant, service, name, low, high in state["told"]}


def _worst(falls: Mapping[_Segment, Fall], bad: Mapping[_Segment, Fall]) -> _Segment:
    """The segment to be named: clearly fallen, and further than the whole."""
    whole = falls.get(_WHOLE)
    least = NAMED_RATIO * whole.fall_ratio if whole is not None and _WHOLE in bad else 0.0
    found = [key for key, fall in bad.items() if key != _WHOLE and fall.fall_ratio >= least]
    return min(found, key=lambda key: (bad[key].log10_p, key), default=_WHOLE)
