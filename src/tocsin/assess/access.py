"""Who asks what of one service, in bounded memory: signs of access that never was like this.

Every quarter of an hour of event time is judged against the week before. Limits are multiples of the highest that any
client had, not tests of single clients: clients differ by orders of magnitude, and a busy one is no attack.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.model.text import one_line
from tocsin.model.visit import Visit

DAY: Final = 96
"""Pieces of a day."""
WEEK: Final = 7 * DAY
LEARNED: Final = DAY
"""So many pieces with requests must be known before volume, spread and denials are judged."""
TIMES_VOLUME: Final = 4.0
TIMES_SPREAD: Final = 3.0
SUCCESSES: Final = 500
"""So many answered requests of an endpoint must be known, over `ENDPOINT_PIECES`, before lack of a principal is a sign."""
ENDPOINT_PIECES: Final = 24
ALWAYS: Final = 0.001
LEAST_WITHOUT: Final = 5
KNOWN_DAYS: Final = 3
KNOWN_REQUESTS: Final = 100
QUIET_DAYS: Final = 7
"""So many days must be known before an hour counts as one at which nobody comes."""
MOST_ENDPOINTS: Final = 300
MOST_CLIENTS: Final = 1000
MOST_FACETS: Final = 16
MOST_SPREAD: Final = 200
_HOURS: Final = 24


class Oddity(NamedTuple):
    """A sign: what kind, of whom or what, how much of it and in words."""

    kind: str
    name: str
    value: float
    said: str
    usual: float


@dataclass(slots=True)
class _Client:
    """What one client did in a piece: `who` says whether it is named by principal."""

    principal: bool
    n: int = 0
    denied: int = 0
    ok: int = 0
    endpoints: set[str] = field(default_factory=set)
    facets: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Past:
    """What is known of a principal: requests, hours of the day (by bit), days, tools and countries."""

    n: int = 0
    hours: int = 0
    days: int = 0
    last_day: int = -1
    facets: list[str] = field(default_factory=list)

    def add(self, client: _Client, piece: int) -> None:
        """Take a piece in."""
        self.n += client.n
        self.hours |= 1 << piece % DAY // 4
        if piece // DAY > self.last_day:
            self.days, self.last_day = self.days + 1, piece // DAY
        new = sorted(client.facets - set(self.facets))
        self.facets += new[: MOST_FACETS - len(self.facets)]


@dataclass(slots=True)
class _Endpoint:
    """Answered requests with and without a principal, in how many pieces, and for how many pieces it was a sign."""

    told: int = 0
    without: int = 0
    pieces: int = 0
    odd: int = 0


@dataclass(slots=True)
class ServiceAccess:
    """One service: pieces that are still open, and what was usual."""

    open: dict[int, dict[Visit, int]] = field(default_factory=dict)
    endpoints: OrderedDict[str, _Endpoint] = field(default_factory=OrderedDict)
    past: OrderedDict[str, _Past] = field(default_factory=OrderedDict)
    highs: list[list[int]] = field(default_factory=list)  # piece, most requests, most endpoints, most denials
    odd: dict[str, int] = field(default_factory=dict)  # for how many pieces a client was a sign
    hours: int = 0  # hours of the day in which anybody came, by bit
    days: int = 0
    last_day: int = -1
    left_out: int = 0

    def take(self, visit: Visit) -> None:
        """Count requests; the order does not matter."""
        of = self.open.setdefault(visit.piece, {})
        key = visit._replace(n=0)
        if key not in of and len(of) >= 16 * MOST_CLIENTS:
            self.left_out += visit.n
            return
        of[key] = of.get(key, 0) + visit.n

    def judge(self, piece: int) -> list[Oddity]:
        """Signs of a piece that is over, in a fixed order; then it becomes part of what is usual."""
        visits = sorted(self.open.pop(piece, {}).items())
        if not visits:
            return []
        found = list(self._unauthenticated(visits))
        clients = self._clients(visits)
        found += list(self._crowding(piece, clients))
        found += list(self._unusual(piece, clients))
        self._learn(piece, clients, {each.name for each in found if each.kind != "unauthenticated"})
        return found

    # -- requests without a principal where there always was one ----------------------------------------------------

    def _unauthenticated(self, visits: list[tuple[Visit, int]]) -> Iterator[Oddity]:
        told: dict[str, list[int]] = {}
        for visit, n in visits:
            if visit.answer == "ok" and visit.endpoint:
                count = told.setdefault(visit.endpoint, [0, 0])
                count[0 if visit.principal else 1] += n
        with_one = sum(count[0] for count in told.values())
        for name, (named, without) in told.items():
            known = self._endpoint(name)
            seen = known.told + known.without
            always = seen >= SUCCESSES and known.pieces >= ENDPOINT_PIECES and known.without <= ALWAYS * seen
            if always and without > LEAST_WITHOUT + 10 * (known.without / seen) * (named + without):
                known.odd += 1
                said = f"{without:,} of {named + without:,} requests to {one_line(name, 80)} were answered without credentials; before, {known.without:,} of {seen:,}"
                if not with_one:
                    said += "; no request of this service tells one any more: its instrumentation may have changed"
                yield Oddity("unauthenticated", name, float(without), said, 0.0)
                if known.odd < DAY:
                    continue  # what goes on for a day becomes usual
            known.told, known.without, known.odd = known.told + named, known.without + without, 0
            known.pieces += 1

    def _endpoint(self, name: str) -> _Endpoint:
        known = self.endpoints.get(name)
        if known is None:
            if len(self.endpoints) >= MOST_ENDPOINTS:
                self.endpoints.popitem(last=False)
            known = self.endpoints[name] = _Endpoint()
        self.endpoints.move_to_end(name)
        return known

    # -- clients ---------------------------------------------------------------------------------------------------

    def _clients(self, visits: list[tuple[Visit, int]]) -> dict[str, _Client]:
        found: dict[str, _Client] = {}
        for visit, n in visits:
            name = visit.principal or visit.client
            if not name:
                continue
            client = found.get(name)
            if client is None:
                if len(found) >= MOST_CLIENTS:
                    self.left_out += n
                    continue
                client = found[name] = _Client(bool(visit.principal))
            client.n += n
            client.denied += n if visit.answer == "denied" else 0
            client.ok += n if visit.answer == "ok" else 0
            if len(client.endpoints) < MOST_SPREAD:
                client.endpoints.add(visit.endpoint)
            told = {f"country {visit.country}" if visit.country else "", f"tool {visit.tool}" if visit.tool else ""}
            if len(client.facets) < MOST_FACETS:
                client.facets |= told - {""}
        return found

    def _crowding(self, piece: int, clients: Mapping[str, _Client]) -> Iterator[Oddity]:
        self.highs = [high for high in self.highs if high[0] > piece - WEEK]
        if len(self.highs) < LEARNED:
            return
        most_n, most_spread, most_denied = (max(high[at] for high in self.highs) for at in (1, 2, 3))
        for name, client in clients.items():
            who = one_line(name, 60)
            if client.n > TIMES_VOLUME * most_n:
                said = f"by {who}: {client.n:,} requests in a quarter of an hour, at most {most_n:,} by anyone in the week before"
                yield Oddity("volume", name, float(client.n), said, float(most_n))
            if len(client.endpoints) > TIMES_SPREAD * most_spread:
                said = f"by {who}: {len(client.endpoints)} different endpoints in a quarter of an hour, at most {most_spread} by anyone in the week before"
                yield Oddity("spread", name, float(len(client.endpoints)), said, float(most_spread))
            if client.denied > TIMES_VOLUME * most_denied:
                then = f", and {client.ok:,} others were answered" if client.ok else ""
                said = f"by {who}: turned away {client.denied:,} times in a quarter of an hour, at most {most_denied:,} times anyone in the week before{then}"
                yield Oddity("denied", name, float(client.denied), said, float(most_denied))

    def _unusual(self, piece: int, clients: Mapping[str, _Client]) -> Iterator[Oddity]:
        hour = piece % DAY // 4
        for name, client in clients.items():
            past = self.past.get(name)
            if not client.principal or self.days < KNOWN_DAYS:
                continue
            who = one_line(name, 60)
            if past is None:
                if self.days > QUIET_DAYS and not _near(self.hours, hour):
                    said = f"by {who}, seen for the first time, at an hour ({hour:02d} UTC) at which nobody ever came: {client.n:,} requests"
                    yield Oddity("unusual", name, float(client.n), said, 0.0)
            elif past.days >= KNOWN_DAYS and past.n >= KNOWN_REQUESTS and not _near(past.hours, hour):
                new = sorted(client.facets - set(past.facets))
                if new and len(past.facets) < MOST_FACETS:
                    said = f"by {who}, never before at {hour:02d} UTC, with a new {one_line(' and a new '.join(new), 120)}: {client.n:,} requests"
                    yield Oddity("unusual", name, float(client.n), said, 0.0)

    def _learn(self, piece: int, clients: Mapping[str, _Client], odd: set[str]) -> None:
        for name in sorted(odd):
            self.odd[name] = self.odd.get(name, 0) + 1
        while len(self.odd) > MOST_CLIENTS:
            del self.odd[next(iter(self.odd))]
        # what goes on for a day becomes usual
        calm = {name: each for name, each in clients.items() if name not in odd or self.odd.get(name, 0) >= DAY}
        if piece // DAY > self.last_day:
            self.days, self.last_day = self.days + 1, piece // DAY
        for name, client in calm.items():
            self.hours |= 1 << piece % DAY // 4
            self.odd.pop(name, None)
            if client.principal:
                self._known(name).add(client, piece)
        if calm:
            most = (max(each.n for each in calm.values()), max(len(each.endpoints) for each in calm.values()))
            self.highs.append([piece, *most, max(each.denied for each in calm.values())])

    def _known(self, name: str) -> _Past:
        past = self.past.get(name)
        if past is None:
            if len(self.past) >= MOST_CLIENTS:
                self.past.popitem(last=False)
            past = self.past[name] = _Past()
        self.past.move_to_end(name)
        return past

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "open": [[*visit[:-1], n] for of in self.open.values() for visit, n in of.items()],
            "endpoints": [[name, e.told, e.without, e.pieces, e.odd] for name, e in self.endpoints.items()],
            "past": [[name, p.n, p.hours, p.days, p.last_day, list(p.facets)] for name, p in self.past.items()],
            "highs": [list(high) for high in self.highs],
            "odd": dict(self.odd),
            "whole": [self.hours, self.days, self.last_day, self.left_out],
        }

    @staticmethod
    def of(state: Mapping[str, Any]) -> ServiceAccess:
        """Back from a snapshot."""
        found = ServiceAccess()
        for row in state["open"]:
            found.take(Visit(*row))
        found.endpoints.update((name, _Endpoint(*row)) for name, *row in state["endpoints"])
        found.past.update((name, _Past(*row)) for name, *row in state["past"])
        found.highs = [list(high) for high in state["highs"]]
        found.odd = dict(state["odd"])
        found.hours, found.days, found.last_day, found.left_out = state["whole"]
        return found


def _near(hours: int, hour: int) -> bool:
    """Whether an hour of the day, or one beside it, is among those (by bit).

    >>> _near(1 << 23, 0), _near(1 << 12, 3)
    (True, False)
    """
    return any(hours >> (hour + by) % _HOURS & 1 for by in (-1, 0, 1))
