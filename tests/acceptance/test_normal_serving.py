"""Thirty normal worlds of a model server with a GPU: its default monitors open nothing."""

from __future__ import annotations

import pytest

from serving_world import CLIENTS, House, S, Server
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1200)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "llm_edges", "resources", "prometheus", "families"}


@pytest.mark.parametrize("seed", range(30))
def test_a_normal_world_opens_nothing(seed):
    names = sorted(CLIENTS)
    clients = tuple(names[(seed + k) % len(names)] for k in range(1 + seed % 3))
    house = House([pack for pack in load_packs() if pack.name in NAMES], Server(seed, clients, 0.15 + 0.1 * (seed % 5)))
    house.now += seed * 2400 * S  # each at another time of day
    house.live(5400, every=30 * S)
    assert [each.title for each in house.incidents.values()] == []
