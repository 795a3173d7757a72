"""A18 to A22, D15: what the rules about GPUs say of engines and of other programs, and when they say nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fold_world import Fold
from serving_world import GPU, House, S, Server, gauge
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
NAMES = {"serving", "vllm", "gpu", "dcgm", "llm_edges", "resources", "prometheus", "host", "any"}


@pytest.fixture(scope="module")
def packs():
    return [pack for pack in load_packs() if pack.name in NAMES]


class Box(House):
    """Two GPUs and what runs on them; `told` are readings that replace the calm ones."""

    def __init__(self, packs, *, engine=False, config=None):
        super().__init__(packs, Server(traffic=0.0), gateway=False, config=config)
        self.engine, self.told, self.gone = engine, {}, set()

    def pages(self):
        rng = np.random.default_rng([self.now // S])
        rows = [gauge("up", {"instance": GPU["instance"], "job": "dcgm"}, 1)]
        for name in ("GPU-1", "GPU-2"):
            if name in self.gone:
                continue
            calm = {
                "FB_USED": 40_000,
                "FB_FREE": 41_559,
                "GPU_UTIL": 60,
                "POWER_USAGE": 250,
                "GPU_TEMP": 62,
                "XID_ERRORS": 0,
            }
            values = calm | {key: value for (gpu, key), value in self.told.items() if gpu == name}
            labels = GPU | {"UUID": name, "gpu": name[-1]}
            for key, value in values.items():
                noise = rng.normal(0, 1) if key in {"POWER_USAGE", "FB_USED"} else 0.0
                rows.append(gauge(f"DCGM_FI_DEV_{key}", labels, round(value + noise)))
        return {"dcgm": rows} | ({"vllm": super().pages()["vllm"]} if self.engine else {})

    def opened(self):
        return {row["monitor"] for row in self.findings if row["phase"] == "open"}


FULL = {("GPU-1", "FB_USED"): 81_000, ("GPU-1", "FB_FREE"): 559}
IDLE = {
    ("GPU-1", "FB_USED"): 74_000,
    ("GPU-1", "FB_FREE"): 7_559,
    ("GPU-1", "GPU_UTIL"): 2,
    ("GPU-1", "POWER_USAGE"): 75,
}


def test_a_healthy_idle_engine_raises_nothing(packs):
    box = Box(packs, engine=True)
    box.told = FULL | {("GPU-1", "GPU_UTIL"): 0, ("GPU-1", "POWER_USAGE"): 72}
    box.live(3600, every=30 * S)
    assert (box.opened(), box.incidents) == (set(), {})


def test_an_engine_on_a_machine_that_nobody_can_tell_keeps_the_raw_rules_silent(packs):
    box = Box(packs, engine=True)
    pages = box.pages

    def elsewhere():
        found = pages()
        found["vllm"] = [(sig, {k: v for k, v in lab.items() if k != "pod"}, val) for sig, lab, val in found["vllm"]]
        return found

    box.pages = elsewhere
    box.told = IDLE | FULL
    box.live(3000, every=30 * S)
    assert box.opened() & {"memory_fragmentation", "suspected_memory_leak"} == set()


def test_a_program_that_holds_memory_and_computes_nothing(packs):
    box = Box(packs)
    box.live(600, every=30 * S)
    box.told = IDLE
    box.live(1500, every=30 * S)
    assert "suspected_memory_leak" not in box.opened()
    box.live(900, every=30 * S)
    (found,) = box.of("suspected_memory_leak")
    proof = json.loads(found["evidence"])
    assert proof["device_memory_ratio"] == pytest.approx(74_000 / 81_559, rel=1e-3)
    assert proof["device_utilization"] == pytest.approx(0.02)


def test_fragmentation_alone_calls_nobody(packs):
    box = Box(packs)
    box.told = FULL
    box.live(900, every=30 * S)
    assert "memory_fragmentation" in box.opened()
    assert box.incidents == {}


def test_fragmentation_is_part_of_an_incident_of_latency(packs):
    box = Box(packs)
    slow = {**GPU, "service.name": "trainer"}
    latency, pages = [0.2], box.pages

    def with_latency():
        rng = np.random.default_rng([box.now // S, 9])
        value = latency[0] * float(np.exp(0.05 * rng.standard_normal()))
        return pages() | {"app": [gauge("inference_latency_seconds", slow, value)]}

    box.pages = with_latency
    box.live(5400, every=30 * S)
    assert box.incidents == {}
    box.told, latency[0] = FULL, 1.5
    box.live(900, every=30 * S)
    (incident,) = box.incidents.values()
    assert {"memory_fragmentation", "any-series"} <= {finding.monitor for finding in incident.findings}


def requests(now, took_s, place):
    """Spans of twelve requests within the last half minute, of a service at a place."""
    rng = np.random.default_rng([now // S, 8])
    took = took_s * np.exp(0.2 * rng.standard_normal(12))
    ends = [now - each * 2 * S for each in range(12)]
    columns = {
        "trace_id": [end.to_bytes(16, "big") for end in ends],
        "span_id": [end.to_bytes(8, "big") for end in ends],
        "parent_id": [bytes(8)] * 12,
        "name": ["POST /embed"] * 12,
        "kind": ["server"] * 12,
        "start": [end - round(each * S) for end, each in zip(ends, took, strict=True)],
        "time": ends,
        "status": ["ok"] * 12,
        **{name: [""] * 12 for name in ("status_message", "scope")},
        "resource": [{"service.name": "trainer"} | place] * 12,
        "attributes": [{}] * 12,
        "events": ["[]"] * 12,
    }
    return frame_of(FrameKind.SPANS, "main", "otlp/trainer", columns)


@pytest.mark.parametrize("place", [{"k8s.pod.name": "llama-0"}, {"k8s.pod.name": "other-3", "host.name": "n7"}])
def test_fragmentation_is_part_of_an_incident_of_requests_that_slow_down_in_traces(place):
    """Where the service runs is told by its spans alone, which are read again from the log."""
    fold = Fold(Config().engine_spec([pack for pack in load_packs() if pack.name in NAMES | {"service"}]))
    rng = np.random.default_rng(4)

    def live(beats, used, free, took_s):
        for _ in range(beats):
            fold.feed(requests(fold.now, took_s, place))
            noisy = used + round(rng.normal())
            rows = [("DCGM_FI_DEV_FB_USED", noisy), ("DCGM_FI_DEV_FB_FREE", free), ("DCGM_FI_DEV_GPU_UTIL", 60)]
            fold.points([gauge(name, GPU, value) for name, value in rows], source="dcgm")
            fold.tick(30, "dcgm", "otlp/trainer")

    live(180, 66_000, 15_559, 0.2)
    assert fold.incidents == {}
    live(30, 81_000, 559, 1.5)
    of_requests, fragmented = (
        [incident for incident in fold.incidents.values() if any(each.monitor == name for each in incident.findings)]
        for name in ("service-latency-p95", "memory_fragmentation")
    )
    assert len(of_requests) == len(fragmented) == 1
    assert (of_requests == fragmented) == (place["k8s.pod.name"] == GPU["exported_pod"])


def test_a_driver_that_answers_no_more_is_told(packs):
    box = Box(packs)
    up, pages = [1.0], box.pages
    box.pages = lambda: pages() | {"gpu": [gauge("hw.gpu.driver.up", {"host.name": "n2"}, up[0])]}
    box.live(300)
    up[0] = 0.0
    box.live(60)
    assert "gpu-driver-silent" in box.opened()
    up[0] = 1.0
    box.live(60)
    assert len(box.of("gpu-driver-silent", "close")) == 1


def test_heat_from_82_degrees_on(packs):
    box = Box(packs)
    box.told = {("GPU-1", "GPU_TEMP"): 81}
    box.live(600)
    assert "thermal_pressure" not in box.opened()
    box.told = {("GPU-1", "GPU_TEMP"): 82}
    box.live(180)
    assert "thermal_pressure" in box.opened()
    assert len(box.incidents) == 1


def test_an_error_code_is_news_once_and_recovery_is_inferred(packs):
    box = Box(packs)
    box.told = {("GPU-2", "XID_ERRORS"): 48}  # from before anybody looked
    box.live(900, every=30 * S)
    assert box.of("gpu-xid") == []
    box.told |= {("GPU-1", "XID_ERRORS"): 79}
    box.live(120)
    (found,) = box.of("gpu-xid")
    assert json.loads(found["evidence"])["code"] == 79
    box.live(900, every=30 * S)  # the gauge keeps its code for ever
    assert len(box.of("gpu-xid", "close")) == 1


def test_an_error_that_a_program_made_itself_opens_no_incident(packs):
    box = Box(packs)
    box.live(120)
    box.told = {("GPU-1", "XID_ERRORS"): 31}
    box.live(120)
    assert box.of("gpu-xid") == []
    assert len(box.of("gpu-xid-program")) == 1
    assert box.incidents == {}


def test_a_gpu_that_should_be_there_is_not(packs):
    box = Box(packs)
    box.live(1200, every=30 * S)
    box.gone = {"GPU-2"}
    box.live(360, every=30 * S)
    (found,) = box.of("gpu-missing")
    proof = json.loads(found["evidence"])
    assert (proof["expected"], proof["here"], proof["gone"]) == (2.0, 1.0, "GPU-2")
    box.gone = set()
    box.live(300, every=30 * S)
    assert len(box.of("gpu-missing", "close")) == 1


def test_the_only_page_of_a_host_gone_is_blindness_and_no_missing_gpu(packs):
    box = Box(packs)
    box.live(1200, every=30 * S)
    box.muted = {"dcgm"}
    box.live(900, every=30 * S)
    assert box.of("gpu-missing") == []


def test_an_inventory_that_is_written_down(packs):
    config = Config.model_validate({"inventory": [{"host": "n*", "devices": 3}]})
    box = Box(packs, config=config)
    box.live(180)
    (found,) = box.of("gpu-missing")
    assert json.loads(found["evidence"])["expected"] == 3.0


def test_a_leak_is_found_within_two_days_with_its_end_in_sight(packs):
    box = Box([pack for pack in packs if pack.name in {"gpu", "dcgm", "serving"}])
    began = box.now + 30 * 3600 * S
    every = 600 * S

    def grow():
        share = 0.6 + 0.01 * max(0, box.now - began) / (86_400 * S)
        box.told = {("GPU-1", "FB_USED"): 81_559 * share, ("GPU-1", "FB_FREE"): 81_559 * (1 - share)}

    while box.now < began + 48 * 3600 * S and not box.of("gpu-memory-leaking"):
        grow()
        box.now += every
        box.beat()
    (found,) = box.of("gpu-memory-leaking")
    proof = json.loads(found["evidence"])
    true_days = 40 - (found["received"] - began) / (86_400 * S)
    assert proof["days_to_full"] == pytest.approx(true_days, rel=0.25)
    assert proof["grows_per_day"] == pytest.approx(0.01, rel=0.25)


def test_what_is_known_survives_a_restart(packs):
    house = House(packs, Server(seed=4))
    house.live(600)
    other = house.after(house.freeze())
    for each in (house, other):
        each.server.wedged = each.server.gauges_lie = True
        each.findings.clear()
        each.live(90)
    told = [[(row["monitor"], row["phase"], row["evidence"]) for row in each.findings] for each in (house, other)]
    assert told[0] == told[1]
    assert told[0]
