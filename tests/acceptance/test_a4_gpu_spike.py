"""A4: a GPU that is suddenly fully used while answers fail: one incident of the failures, with the GPU as its cause."""

import numpy as np
import pytest

from llm_world import spans_frame
from serving_world import GPU, House, S, Server, gauge
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

NAMES = {"serving", "gpu", "dcgm", "llm_edges", "resources", "prometheus", "families", "service", "any"}
EVERY = 30 * S


class Ranker(House):
    """A service that ranks on one GPU, six requests each half minute; another job takes the GPU from it."""

    busy, failing = 0.0, 0.01

    def __init__(self, packs):
        super().__init__(packs, Server(traffic=0.0), gateway=False)

    def alike(self):
        return Ranker(self.packs)

    def beat(self):
        rng = np.random.default_rng([self.now // S, 4])
        self.feed(spans_frame([self.request(rng, self.now - k * 4 * S) for k in reversed(range(6))], "ranker"))
        super().beat()

    def request(self, rng, end):
        failed = rng.random() < self.failing
        said = {
            "http.request.method": "POST", "http.route": "/rank", "k8s.pod.name": "ranker-0",
            "http.response.status_code": 503 if failed else 200,
        }  # fmt: skip
        took = 0.08 * (1 + 4 * self.busy) * rng.lognormal(0, 0.3)
        return (
            end,
            said,
            {"kind": "server", "name": "POST /rank", "took_s": took, "status": "error" if failed else "ok"},
        )

    def pages(self):
        rng = np.random.default_rng([self.now // S, 6])
        used = float(np.clip(38 + 60 * self.busy + rng.normal(0, 4 * (1 - self.busy) + 0.3), 0, 100))
        labels = GPU | {"exported_pod": "ranker-0"}
        process = {"service.name": "ranker", "k8s.pod.name": "ranker-0"}
        return {
            "otlp/ranker": [gauge("process.memory.usage", process, 2e9 + rng.normal(0, 1e6))],
            "dcgm": [
                gauge("DCGM_FI_DEV_GPU_UTIL", labels, round(used)),
                gauge("DCGM_FI_DEV_POWER_USAGE", labels, round(90 + 2.3 * used + rng.normal(0, 3), 1)),
                gauge("DCGM_FI_DEV_GPU_TEMP", labels, round(50 + 0.2 * used)),
                gauge("DCGM_FI_DEV_FB_USED", labels, round(30_000 + rng.normal(0, 5))),
                gauge("DCGM_FI_DEV_FB_FREE", labels, round(51_559 + rng.normal(0, 5))),
            ],
        }


def test_a4_a_gpu_that_spikes_while_requests_fail():
    house = Ranker([pack for pack in load_packs() if pack.name in NAMES])
    house.live(5400, every=EVERY)
    assert [each.title for each in house.incidents.values()] == []
    house.busy, house.failing = 1.0, 0.5
    house.live(900, every=EVERY)
    (incident,) = house.incidents.values()
    assert {each.monitor for each in incident.findings} >= {"service-errors", "gpu-utilisation"}
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("gpu", "GPU-1")
