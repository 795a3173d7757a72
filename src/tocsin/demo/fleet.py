"""Replicas of the model server behind one door: calls go where the most room is; replicas come, go and are replaced."""

from __future__ import annotations

import heapq

import numpy as np

from tocsin.demo.conditions import Conditions
from tocsin.demo.serving import Call, ModelServer

START_S = 40.0
"""Until a new replica has loaded its weights and takes calls."""


class Fleet:
    """All replicas; the first is the one that is there from the start.

    >>> fleet = Fleet(Conditions(), np.random.SeedSequence(1))
    >>> fleet.scale(2, 100.0)
    >>> fleet.advance(120.0); len(fleet.servers)
    1
    >>> fleet.advance(150.0); len(fleet.servers)
    2
    """

    def __init__(self, conditions: Conditions, seed: np.random.SeedSequence) -> None:
        self._conditions = conditions
        self._seed = seed
        self.servers = [ModelServer(conditions, np.random.default_rng(seed))]
        self._draining: list[ModelServer] = []
        # (time s, number of the order, which replica is replaced; -1: one is added)
        self._due: list[tuple[float, int, int]] = []
        self._orders = 0

    def submit(self, call: Call) -> None:
        """A call comes in; calls come in the order of their time."""
        self.advance(call.at_s)
        self._roomiest().submit(call)

    def advance(self, until_s: float) -> None:
        """Let everything happen that ends before `until_s`."""
        while self._due and self._due[0][0] <= until_s:
            at_s, _, place = heapq.heappop(self._due)
            self._advance(at_s)
            self._start(place, at_s)
        self._advance(until_s)

    def done(self) -> list[Call]:
        """Calls that ended since the last time, in the order of their end."""
        found = [call for server in (*self.servers, *self._draining) for call in server.done()]
        self._draining = [server for server in self._draining if server.running]
        return sorted(found, key=lambda call: call.end_s) if len(self.servers) > 1 or self._draining else found

    def scale(self, replicas: int, at_s: float) -> None:
        """Ask for a number of replicas: more are there after `START_S`, fewer finish what they run."""
        coming = sum(place < 0 for _, _, place in self._due)
        for _ in range(replicas - len(self.servers) - coming):
            self._order(at_s + START_S, -1)
        while len(self.servers) > max(1, replicas):
            self._drain(self.servers.pop(), at_s)

    def restart(self, at_s: float) -> None:
        """Replace all replicas, each only once the one before it is there."""
        for place in range(len(self.servers)):
            self._order(at_s + (place + 1) * START_S, place)

    def _order(self, at_s: float, place: int) -> None:
        self._orders += 1
        heapq.heappush(self._due, (at_s, self._orders, place))

    def _advance(self, until_s: float) -> None:
        for server in (*self.servers, *self._draining):
            server.advance(until_s)

    def _start(self, place: int, at_s: float) -> None:
        new = ModelServer(self._conditions, np.random.default_rng(self._seed.spawn(1)[0]))
        new.advance(at_s)
        if place < 0:
            self.servers.append(new)
        elif place < len(self.servers):
            old, self.servers[place] = self.servers[place], new
            self._drain(old, at_s)

    def _drain(self, old: ModelServer, at_s: float) -> None:
        """What it runs it finishes; what waits goes elsewhere."""
        self._draining.append(old)
        for call in old.turned_away():
            self._roomiest().submit(call, at_s)

    def _roomiest(self) -> ModelServer:
        return min(self.servers, key=lambda server: (server.waiting, server.kv_ratio))
