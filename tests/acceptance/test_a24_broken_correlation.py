"""A24: what usually moves together diverges, each still within its own range - with no configuration, it is an incident."""

from __future__ import annotations

import json

import pytest

from serving_world import House, S, Server
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "families", "resources", "prometheus"}
MONITOR = "gpu-power-given-use"
POWER = "DCGM_FI_DEV_POWER_USAGE"


class Bent(House):
    """A house whose GPU may report another share of the power that it draws."""

    share = 1.0

    def pages(self):
        pages = super().pages()
        pages["dcgm"] = [
            (signal, labels, value * (self.share if signal.name == POWER else 1.0))
            for signal, labels, value in pages["dcgm"]
        ]
        self.powers = [*getattr(self, "powers", []), *(v for s, _, v in pages["dcgm"] if s.name == POWER)]
        return pages


def test_a24_a_gpu_that_says_it_is_busy_and_draws_too_little_power():
    house = Bent([pack for pack in load_packs() if pack.name in NAMES], Server(seed=4))
    house.live(2 * 3600)
    assert house.of(MONITOR) == []
    frozen = house.freeze()
    assert house.after(frozen).freeze() == frozen  # what was learned of each is part of a snapshot
    lowest, highest = min(house.powers), max(house.powers)
    began, before = house.now, len(house.powers)
    house.share = 0.65
    house.live(900)
    assert (
        lowest <= min(house.powers[before:]) * 1.7 < max(house.powers[before:]) <= highest
    )  # nothing stands out alone
    (found,) = house.of(MONITOR)
    assert found["received"] - began <= 600 * S
    proof = json.loads(found["evidence"])
    assert proof["device_power"] < highest
    assert proof["share_of_usual"] < 0.8
    assert proof["device_utilization"] > 0
    assert any(incident.opened_at > began and "GPU-1" in incident.title for incident in house.incidents.values())
