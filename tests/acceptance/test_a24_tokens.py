"""A24: a GPU's use no longer goes with the tokens of its engine, and the engine serves on - with no configuration."""

from __future__ import annotations

import json
import math

import pytest

from serving_world import START, House, S, Server
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "families", "resources", "prometheus"}
MONITOR = "engine-device-given-tokens"
USE = "DCGM_FI_DEV_GPU_UTIL"


class Swinging(House):
    """A house whose traffic comes and goes within an hour and a half, and whose GPU may report a share of its use."""

    share = 1.0

    def beat(self):
        self.server.traffic = 0.55 + 0.4 * math.sin(2 * math.pi * (self.now - START) / (5400 * S))
        super().beat()

    def pages(self):
        pages = super().pages()
        pages["dcgm"] = [
            (signal, labels, round(value * (self.share if signal.name == USE else 1.0)))
            for signal, labels, value in pages["dcgm"]
        ]
        return pages


def test_a24_tokens_go_on_and_the_gpu_s_use_does_not_go_with_them():
    house = Swinging([pack for pack in load_packs() if pack.name in NAMES], Server(seed=4))
    house.live(3 * 3600)
    assert house.of(MONITOR) == []
    began, house.share = house.now, 0.4
    house.live(1800)
    found = house.of(MONITOR)[0]
    assert found["received"] - began <= 1800 * S
    proof = json.loads(found["evidence"])
    assert proof["share_of_usual"] < 0.7
    assert proof["device_utilization"] < proof["usual"]
    assert proof["engine_output_tokens"] > 0, "tokens go on"
