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
from tocsin.model.series import Signal
from tocsin.model.text import one_line

BAD: Final = Signal("gen_ai.feedback.negative_ratio", "1")
SEGMENTS: Final = ("prompt.version", "gen_ai.request.model", "tenant.id")
MOST_TALLIES: Final = 1_000
MOST_TRACES: Final = 20_000
"""Traces whose service, model, prompt version and tenant are remembered for the votes that come later."""
LEVEL_LOG10: Final = -5.0
EVERY_NS: Final = 60 * 10**9
CALM_RATIO: Final = 0.8
NAMED_RATIO: Final = 1.25
NAMED_LOG10: Final = -3.0
_Of = tuple[str, str, str]
"""Tenant, service or model, name of the vote."""
_Segment = tuple[str, str]
_WHOLE: Final = ("", "")
_About = tuple[str, str, str, str]
"""Service, prompt version, model, customer."""


class VoteWatch:
    """Pure: what it says depends on votes, calls and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._tallies: dict[_Of, dict[_Segment, Tally]] = {}
        self._size = 0
        self._traces: OrderedDict[tuple[str, str], _About] = OrderedDict()
        self._touched: dict[_Of, int] = {}
        self._judged = 0
        self.left_out = 0

    def about(self, tenant: str, call: Call) -> None:
        """Remember what a trace is about."""
        key = (tenant, call.trace)
        before = self._traces.pop(key, ("", "", "", ""))
        told = (call.service, call.version, call.model, call.customer)
        self._traces[key] = (
            told[0] or before[0], told[1] or before[1], told[2] or before[2], told[3] or before[3],
        )  # fmt: skip
        if len(self._traces) > MOST_TRACES:
            self._traces.popitem(last=False)

    def take(self, tenant: str, vote: Vote) -> None:
        """Take a vote in, joined to the call it is about where that is known."""
        known = self._traces.get((tenant, vote.trace), ("", "", "", "")) if vote.trace.strip("0") else ("", "", "", "")
        service = known[0] or vote.service
        told = (vote.version or known[1], vote.model or known[2], vote.customer or known[3])
        of = (tenant, service or f"model:{vote.model}", vote.name)
        self._touched[of] = max(self._touched.get(of, 0), vote.time)
        for segment in (_WHOLE, *((key, value) for key, value in zip(SEGMENTS, told, strict=True) if value)):
            self._tally(of, segment, vote)

    def _tally(self, of: _Of, segment: _Segment, vote: Vote) -> None:
        tallies = self._tallies.setdefault(of, {})
        tally = tallies.get(segment)
        if tally is None:
            if self._size >= MOST_TALLIES:
                self.left_out += 1
                return
            self._size += 1
            tally = tallies[segment] = Tally()
        tally.add(vote.time, bad=vote.bad)

    def judge(self, received: int) -> None:
        """Judge what had votes since the last minute."""
        if received // EVERY_NS == self._judged:
            return
        self._judged = received // EVERY_NS
        limit = self._episodes.limit(BAD.name)
        touched, self._touched = self._touched, {}
        if limit >= 1.0:
            return  # nobody asks, or for more than all
        for of, at in touched.items():
            tallies = self._tallies.get(of, {})
            last = max((tally.last for tally in tallies.values()), default=0)
            shares = {
                segment: share
                for segment, tally in tallies.items()
                if tally.last == last or segment == _WHOLE
                if (share := tally.share(limit)) is not None
            }
            self._judge(of, at, shares, limit)

    def _judge(self, of: _Of, at: int, shares: Mapping[_Segment, Share], limit: float) -> None:
        labels = {("service.name" if not of[1].startswith("model:") else "model"): of[1].removeprefix("model:")}
        labels["feedback"] = of[2]
        bad = {key: each for key, each in shares.items() if each.bad_ratio > limit and each.log10_p < LEVEL_LOG10}
        whole = shares.get(_WHOLE)
        if not bad:
            if whole is not None and whole.bad_ratio < CALM_RATIO * limit:
                self._episodes.calm(of[0], BAD, labels, at)
            return
        worst = self._worst(shares, bad)
        told = bad[_WHOLE] if _WHOLE in bad else bad[worst]
        where = "" if worst == _WHOLE else f", most of {one_line(worst[1], 40)}"
        usual = "" if math.isnan(told.usual_ratio) else f", usually {100 * told.usual_ratio:.1f} %"
        evidence: dict[str, float | str] = {
            "deviation": f"{100 * told.bad_ratio:.0f} % of {told.n} say no in an hour{usual}{where}",
            "n": float(told.n),
            "log10_p": round(told.log10_p, 2),
        }
        if math.isfinite(told.usual_ratio):
            evidence["usual_ratio"] = round(told.usual_ratio, 4)
        if worst != _WHOLE:
            evidence |= {
                "segment": f"{worst[0]}={one_line(worst[1], 80)}",
                "segment_ratio": round(shares[worst].bad_ratio, 4),
                "segment_n": float(shares[worst].n),
            }
        self._episodes.tell(of[0], BAD, labels, at, told.bad_ratio, evidence)

    @staticmethod
    def _worst(shares: Mapping[_Segment, Share], bad: Mapping[_Segment, Share]) -> _Segment:
        """The segment to be named: clearly worse than the whole, by what is usual of the whole."""
        whole = shares.get(_WHOLE)
        if _WHOLE not in bad or whole is None:
            return min(bad, key=lambda key: (bad[key].log10_p, key))
        usual = min(max(whole.usual_ratio, 0.01), 0.5) if math.isfinite(whole.usual_ratio) else whole.bad_ratio
        surely = {
            key: log10_tail(round(each.bad_ratio * each.n), each.n, usual)
            for key, each in shares.items()
            if key != _WHOLE and each.bad_ratio >= NAMED_RATIO * whole.bad_ratio
        }
        found = [key for key, log10_p in surely.items() if log10_p < NAMED_LOG10]
        return min(found, key=lambda key: (surely[key], key), default=_WHOLE)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "tallies": [
                [*of, *segment, tally.snapshot()]
                for of, tallies in self._tallies.items()
                for segment, tally in tallies.items()
            ],
            "traces": [[*key, *about] for key, about in self._traces.items()],
            "touched": [[*of, at] for of, at in self._touched.items()],
            "judged": self._judged,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self._tallies, self._size = {}, len(state["tallies"])
        for tenant, service, name, key, value, told in state["tallies"]:
            self._tallies.setdefault((tenant, service, name), {})[key, value] = Tally.of(told)
        self._traces = OrderedDict(((a, b), (c, d, e, f)) for a, b, c, d, e, f in state["traces"])
        self._touched = {(tenant, service, name): at for tenant, service, name, at in state["touched"]}
        self._judged = state["judged"]
