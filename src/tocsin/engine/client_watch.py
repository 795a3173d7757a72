"""`ClientWatch`: clients of models, as tags of records name them, watched for what attacks look like in telemetry.

Signs say what is out of line and never who meant what; their findings are of kind `security`, and nothing is done about
them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from tocsin.assess.client_signs import Sign
from tocsin.engine.client_finding import SIGNAL, ClientEpisode
from tocsin.engine.model_clients import LEAST, Client, ModelClients
from tocsin.engine.record_sample import Arrival
from tocsin.model.finding import Finding, Phase
from tocsin.model.series import Series

MODELS: Final = 20
"""Models, of all tenants, whose clients are followed; those beyond are counted."""
PIECE_NS: Final = 900 * 1_000_000_000
DAY_NS: Final = 96 * PIECE_NS
CALM_NS: Final = 24 * PIECE_NS
"""A finding is over when its sign was not seen for so long."""
_NEWS_NS: Final = 4 * PIECE_NS
_Model: TypeAlias = tuple[str, str]


class ClientWatch:
    """Judges every quarter of an hour of event time; a day's counts begin at midnight UTC."""

    def __init__(self) -> None:
        self.models: dict[_Model, ModelClients] = {}
        self.marks: dict[_Model, int] = {}
        self.episodes: dict[tuple[_Model, Client, str], ClientEpisode] = {}
        self._said: list[Finding] = []
        self._told: dict[tuple[_Model, Client, str], int] = {}
        self._over: dict[tuple[_Model, Client, str], int] = {}

    def take(self, tenant: str, arrival: Arrival, tags: frozenset[str]) -> bool:
        """Count a record; what is over before it is judged first. False for one of a model beyond the cap."""
        clients = tuple(dict.fromkeys((tag, value) for tag, value in arrival.tags if tag in tags))
        key = (tenant, arrival.model)
        state = self.models.get(key)
        if state is None:
            if not clients:
                return True
            if len(self.models) >= MODELS:
                return False
            state = self.models[key] = ModelClients()
        self._move(key, state, arrival.row.time)
        state.take(arrival, clients)
        return True

    def close(self, passed: Mapping[str, int], received: int = 0) -> list[Finding]:
        """Judge what watermarks (by tenant) have passed, and give all that is told since the last time.

        It is told as of `received`, but for history that is replayed.
        """
        for key, state in self.models.items():
            self._move(key, state, passed.get(key[0], 0))
        said, self._said = self._said, []
        return [
            replace(each, end=received, time=received) if 0 <= received - each.time <= CALM_NS else each
            for each in said
        ]

    def _move(self, key: _Model, state: ModelClients, time: int) -> None:
        mark = self.marks.setdefault(key, time // PIECE_NS * PIECE_NS + PIECE_NS)
        if time < mark:
            return
        self._judge(key, state, mark)
        if time // DAY_NS > (mark - 1) // DAY_NS:
            state.turn(client for of, client, _ in self.episodes if of == key)
            self._over = {place: n for place, n in self._over.items() if place[0] != key}
        self.marks[key] = time // PIECE_NS * PIECE_NS + PIECE_NS
        self._calm(key, time)

    def _judge(self, key: _Model, state: ModelClients, at: int) -> None:
        state.settle()
        suspects = [client for of, client, _ in self.episodes if of == key]
        for client, signs in state.signs(suspects).items():
            for sign in signs:
                self._say(key, client, sign, at)

    def _say(self, key: _Model, client: Client, sign: Sign, at: int) -> None:
        place = (key, client, sign.kind)
        episode = self.episodes.get(place)
        if episode is None and sign.n < self._over.get(place, 0) + LEAST:
            return  # what is left of a day whose finding is over
        if episode is None:
            self.episodes[place] = ClientEpisode(_series(key, client), sign.kind, at - PIECE_NS, sign, at)
            self._tell(place, Phase.OPEN, at)
            return
        if sign.n == episode.sign.n:
            return
        episode.sign, episode.seen = sign, at
        if at - self._told.get(place, 0) >= _NEWS_NS:
            self._tell(place, Phase.UPDATE, at)

    def _tell(self, place: tuple[_Model, Client, str], phase: Phase, at: int) -> None:
        self._told[place] = at
        self._said.append(self.episodes[place].finding(phase, at))

    def _calm(self, key: _Model, time: int) -> None:
        for place, episode in list(self.episodes.items()):
            if place[0] == key and time - episode.seen >= CALM_NS:
                self._tell(place, Phase.CLOSE, time)
                self._over[place] = episode.sign.n
                del self.episodes[place], self._told[place]

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "models": [[list(key), state.snapshot(), self.marks.get(key, 0)] for key, state in self.models.items()],
            "episodes": [
                [list(key), list(client), each.snapshot(), self._told[key, client, kind]]
                for (key, client, kind), each in self.episodes.items()
            ],
            "over": [[list(key), list(client), kind, n] for (key, client, kind), n in self._over.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        for key, model, mark in state["models"]:
            self.models[key[0], key[1]] = ModelClients.back(model)
            self.marks[key[0], key[1]] = mark
        for key, client, episode, told in state["episodes"]:
            self._restore((key[0], key[1]), (client[0], client[1]), episode, told)

        self._over = {((of[0], of[1]), (who[0], who[1]), kind): n for of, who, kind, n in state["over"]}

    def _restore(self, key: _Model, client: Client, state: Sequence[Any], told: int) -> None:
        episode = ClientEpisode.back(state, _series(key, client))
        place = (key, client, episode.kind)
        self.episodes[place], self._told[place] = episode, told


def _series(key: _Model, client: Client) -> Series:
    return Series.of(key[0], SIGNAL, {"model": key[1], client[0]: client[1]})
