"""`VoteWatch`: what people say of answers - when more of them are no than usual, of whom, and of which segment."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from tocsin.assess.votes import Share, Tally, log10_tail
from tocsin.derive.calls import Call
from tocsin.derive.votes import Vote
from tocsin.engine.call_episodes import Episodes
from tocsin.engine.grade_watch import GradeWatch
from tocsin.engine.segment_tallies import WHOLE, Of, Segment, SegmentTallies
from tocsin.model.series import Signal
from tocsin.model.text import one_line

BAD: Final = Signal("gen_ai.feedback.negative_ratio", "1")
SEGMENTS: Final = ("prompt.version", "gen_ai.request.model", "tenant.id", "topic", "cloud.region")
MOST_TRACES: Final = 20_000
"""Traces of which what votes are told apart by is remembered for those that come later."""
LEVEL_LOG10: Final = -5.0
EVERY_NS: Final = 60 * 10**9
CALM_RATIO: Final = 0.8
NAMED_RATIO: Final = 1.25
NAMED_LOG10: Final = -3.0
_About = tuple[str, ...]
"""Service, prompt version, model, customer, topic, region."""
_NOTHING: Final[_About] = ("",) * 6


class VoteWatch:
    """Pure: what it says depends on votes, calls and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._tallies = SegmentTallies(Tally)
        self._traces: OrderedDict[tuple[str, str], _About] = OrderedDict()
        self._touched: dict[Of, int] = {}
        self._judged = 0
        self.grades = GradeWatch(episodes)

    @property
    def left_out(self) -> int:
        """Votes and grades of segments beyond the most, or beyond any scale."""
        return self._tallies.left_out + self.grades.left_out

    def about(self, tenant: str, call: Call) -> None:
        """Remember what a trace is about."""
        key = (tenant, call.trace)
        before = self._traces.pop(key, _NOTHING)
        told = (call.service, call.version, call.model, call.customer, call.topic, call.region)
        self._traces[key] = tuple(new or old for new, old in zip(told, before, strict=True))
        if len(self._traces) > MOST_TRACES:
            self._traces.popitem(last=False)

    def take(self, tenant: str, vote: Vote) -> None:
        """Take a vote in, joined to the call it is about where that is known."""
        known = self._traces.get((tenant, vote.trace), _NOTHING) if vote.trace.strip("0") else _NOTHING
        service = known[0] or vote.service
        own = (vote.version, vote.model, vote.customer, vote.topic, vote.region)
        told = [new or old for new, old in zip(own, known[1:], strict=True)]
        of = (tenant, service or f"model:{vote.model}", vote.name)
        self._touched[of] = max(self._touched.get(of, 0), vote.time)
        segments = [WHOLE, *((key, value) for key, value in zip(SEGMENTS, told, strict=True) if value)]
        if vote.graded:
            self.grades.take(of, segments, vote)
        for segment in segments if vote.both or not vote.graded else ():
            tally = self._tallies.at(of, segment)
            if tally is not None:
                tally.add(vote.time, bad=vote.bad)

    def judge(self, received: int) -> None:
        """Judge what had votes since the last minute."""
        if received // EVERY_NS == self._judged:
            return
        self._judged = received // EVERY_NS
        limit = self._episodes.limit(BAD.name)
        touched, self._touched = self._touched, {}
        for of, at in touched.items():
            if self.grades.graded(of):
                self.grades.judge(of, _labels(of), at)
            elif limit < 1.0:  # somebody asks, and not for more than all
                self._judge(of, at, self._shares(of, limit), limit)

    def _shares(self, of: Of, limit: float) -> dict[Segment, Share]:
        """Shares of the whole and of the segments that had votes just now."""
        tallies = self._tallies.of(of)
        last = max((tally.last for tally in tallies.values()), default=0)
        return {
            segment: share
            for segment, tally in tallies.items()
            if tally.last == last or segment == WHOLE
            if (share := tally.share(limit)) is not None
        }

    def _judge(self, of: Of, at: int, shares: Mapping[Segment, Share], limit: float) -> None:
        labels = _labels(of)
        bad = {key: each for key, each in shares.items() if each.bad_ratio > limit and each.log10_p < LEVEL_LOG10}
        whole = shares.get(WHOLE)
        if not bad:
            if whole is not None and whole.bad_ratio < CALM_RATIO * limit:
                self._episodes.calm(of[0], BAD, labels, at)
            return
        worst = self._worst(shares, bad)
        told = bad[WHOLE] if WHOLE in bad else bad[worst]
        where = "" if worst == WHOLE else f", most of {one_line(worst[1], 40)}"
        usual = "" if math.isnan(told.usual_ratio) else f", usually {100 * told.usual_ratio:.1f} %"
        evidence: dict[str, float | str] = {
            "deviation": f"{100 * told.bad_ratio:.0f} % of {told.n} say no in an hour{usual}{where}",
            "n": float(told.n),
            "log10_p": round(told.log10_p, 2),
        }
        if math.isfinite(told.usual_ratio):
            evidence["usual_ratio"] = round(told.usual_ratio, 4)
        if worst != WHOLE:
            evidence |= {
                "segment": f"{worst[0]}={one_line(worst[1], 80)}",
                "segment_ratio": round(shares[worst].bad_ratio, 4),
                "segment_n": float(shares[worst].n),
            }
        self._episodes.tell(of[0], BAD, labels, at, told.bad_ratio, evidence)

    @staticmethod
    def _worst(shares: Mapping[Segment, Share], bad: Mapping[Segment, Share]) -> Segment:
        """The segment to be named: clearly worse than the whole, by what is usual of the whole."""
        whole = shares.get(WHOLE)
        if WHOLE not in bad or whole is None:
            return min(bad, key=lambda key: (bad[key].log10_p, key))
        usual = min(max(whole.usual_ratio, 0.01), 0.5) if math.isfinite(whole.usual_ratio) else whole.bad_ratio
        surely = {
            key: log10_tail(round(each.bad_ratio * each.n), each.n, usual)
            for key, each in shares.items()
            if key != WHOLE and each.bad_ratio >= NAMED_RATIO * whole.bad_ratio
        }
        found = [key for key, log10_p in surely.items() if log10_p < NAMED_LOG10]
        return min(found, key=lambda key: (surely[key], key), default=WHOLE)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "tallies": self._tallies.snapshot(),
            "traces": [[*key, *about] for key, about in self._traces.items()],
            "touched": [[*of, at] for of, at in self._touched.items()],
            "judged": self._judged,
            "grades": self.grades.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self._tallies.restore(state["tallies"], Tally.of)
        # snapshots of before knew no topic and no region
        told = ((tenant, trace, (*about, *_NOTHING)[: len(_NOTHING)]) for tenant, trace, *about in state["traces"])
        self._traces = OrderedDict(((tenant, trace), about) for tenant, trace, about in told)
        self._touched = {(tenant, service, name): at for tenant, service, name, at in state["touched"]}
        self._judged = state["judged"]
        if "grades" in state:
            self.grades.restore(state["grades"])


def _labels(of: Of) -> dict[str, str]:
    named = ("service.name", of[1]) if not of[1].startswith("model:") else ("model", of[1].removeprefix("model:"))
    return {named[0]: named[1], "feedback": of[2]}
