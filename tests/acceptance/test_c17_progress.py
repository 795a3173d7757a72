"""C17 and H3: an engine that holds requests and does no work is found within a minute, and a long prefill is not."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest

from serving_world import ENGINES, House, NamedHouse, Request, S, Server, door
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "llm_edges", "resources", "prometheus"}


@pytest.fixture(scope="module")
def calm():
    house = House([pack for pack in load_packs() if pack.name in NAMES])
    house.live(1500)
    assert house.of("engine-stalled") == []
    return house, house.freeze()


@pytest.fixture
def house(calm):
    return calm[0].after(calm[1])


def evidence(finding):
    return json.loads(finding["evidence"])


def test_a_wedged_engine_whose_health_is_good_and_that_says_it_runs_nothing(house):
    house.server.wedged = house.server.gauges_lie = True
    began = house.now
    with door(house.server) as address:
        house.live(60)
        with urlopen(f"{address}/health") as health, urlopen(f"{address}/metrics") as page:
            assert (health.status, page.read()) == (200, b"vllm:num_requests_running 0\n")
        house.live(60)
    (found,) = house.of("engine-stalled")
    assert found["received"] - began <= 60 * S
    proof = evidence(found)
    assert (proof["power_is"], float(proof["requests_held"]) >= 4) == ("idle", True)
    assert [each.title for each in house.incidents.values()]


def test_an_engine_that_holds_its_requests_and_stands_still(house):
    house.gateway = False
    house.server.ask(Request(900, 300))
    house.server.ask(Request(900, 300))
    house.live(10)
    house.server.wedged = True
    began = house.now
    house.live(70)
    assert [found["received"] - began <= 60 * S for found in house.of("engine-stalled")] == [True]


def test_a_long_prefill_is_work(house):
    house.server.traffic = 0.3
    house.live(120)
    house.server.ask(Request(9_000 * 150, 20))  # two and a half minutes in which nothing is counted
    house.live(400)
    assert house.of("engine-stalled") == []


def test_it_ends_when_the_engine_works_again(house):
    house.server.wedged = house.server.gauges_lie = True
    house.live(100)
    house.server.wedged = False
    house.live(120)
    assert len(house.of("engine-stalled", "close")) == 1


def test_without_power_and_gateway_a_standstill_takes_longer_and_is_found(calm):
    house = House(calm[0].packs, Server(seed=3), gpu=False, gateway=False)
    house.live(900)
    house.server.ask(Request(900, 300))
    house.server.ask(Request(900, 300))
    house.live(10)
    house.server.wedged = True
    house.live(60)
    assert house.of("engine-stalled") == []
    house.live(150)
    assert len(house.of("engine-stalled")) == 1


def test_an_engine_with_nothing_to_do_is_idle_and_not_stalled(house):
    house.server.traffic = 0.0
    house.live(900, every=30 * S)
    assert house.of("engine-stalled") == []


def test_an_engine_whose_page_is_gone_is_not_called_stalled(house):
    house.muted = {"vllm"}
    house.server.wedged = True
    house.live(300)
    assert house.of("engine-stalled") == []


@pytest.mark.parametrize("engine", ENGINES)
def test_whatever_the_engine_is_called_by(engine):
    packs = [pack for pack in load_packs() if pack.name in (NAMES - {"vllm"}) | {engine}]
    calm = NamedHouse(packs, engine=engine)
    calm.live(1500)
    assert calm.of("engine-stalled") == []
    house = calm.after(calm.freeze())
    house.server.ask(Request(9_000 * 60, 20))  # a minute of prefill, in which nothing is counted, is work
    house.live(200)
    assert house.of("engine-stalled") == []
    house = calm.after(calm.freeze())
    house.server.wedged = house.server.gauges_lie = True
    began = house.now
    house.live(70)
    assert [found["received"] - began <= 60 * S for found in house.of("engine-stalled")] == [True]
