"""Thirty normal worlds of a model server with a GPU: its default monitors open nothing but where a queue really grows."""

from __future__ import annotations

import pytest

from serving_world import BATCH, CLIENTS, House, S, Server
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1200)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "llm_edges", "resources", "prometheus", "families"}
BEAT_S = 30
LIFE_S = 5400


@pytest.fixture(scope="module")
def packs():
    return [pack for pack in load_packs() if pack.name in NAMES]


class Watched(House):
    """A house that counts the beats at which more requests wait than the server takes at once."""

    overloaded = 0

    def beat(self):
        self.overloaded += len(self.server.waiting) > BATCH
        super().beat()


@pytest.mark.parametrize("seed", range(30))
def test_a_normal_world_opens_nothing(packs, seed):
    names = sorted(CLIENTS)
    clients = tuple(names[(seed + k) % len(names)] for k in range(1 + seed % 3))
    house = Watched(packs, Server(seed, clients, 0.15 + 0.1 * (seed % 5)))
    house.now += seed * 2400 * S  # each at another time of day
    house.live(LIFE_S, every=BEAT_S * S)
    titles = [each.title for each in house.incidents.values()]
    if house.overloaded * BEAT_S < 120:
        assert titles == []
    else:  # one of the thirty: a client goes from nothing to five requests a second, and hundreds wait for minutes
        (title,) = titles
        assert "queue" in title
