"""D13: a model's confidence falls because its GPU is out of memory; nobody says so, the records and the machine do."""

from __future__ import annotations

import numpy as np
import pytest

from fold_world import START, Fold, S, gauge
from tocsin.model.codec import incident_to_json
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

FAULT = START + 40 * 60 * S
CONFIG = """
monitors:
  - {name: model-confidence, signal: tocsin.model.confidence, aggregate: mean, window: {size: 2m, step: 30s, min_samples: 20},
     detect: {threshold: {below: 0.8}}, for: 30s, clear: 5m, direction: down}
  - {name: gpu-memory, signal: DCGM_FI_DEV_FB_USED, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 78000}}, clear: 5m, direction: up}
  - {name: shop-latency, signal: http.server.request.duration, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.5}}, clear: 5m, direction: up}
topology:
  edges: [{from: fraud, to: scorer-0}]
"""
NAMES = {"resources", "llm_edges", "models", "logs", "dcgm"}
LABELS = {"UUID": "GPU-7", "gpu": "0", "Hostname": "gpu-node-1", "exported_pod": "scorer-0"}


def spec():
    packs = [
        pack.model_copy(update={"monitors": [each for each in pack.monitors if each.name == "log-new-errors"]})
        for pack in load_packs()
        if pack.name in NAMES
    ]
    return parse_config(CONFIG, "tocsin.yaml", {}).config.engine_spec(packs)


def records(rng, second, now, sure):
    """What the model said in one step, and how sure it was: short of memory, a small stand-in answers."""
    columns = {
        "time": [now - k * 10**6 for k in range(20)],
        "prediction_id": [f"{second}-{k}" for k in range(20)],
        "model": ["fraud"] * 20,
        "version": ["3"] * 20,
        "prediction": ['"ok"'] * 20,
        "score": np.clip(rng.normal(sure, 0.03, 20), 0.5, 1.0).tolist(),
        "features": ["{}"] * 20,
        "tags": [[]] * 20,
        "truth": [""] * 20,
        "feedback": [""] * 20,
        "kind": ["prediction"] * 20,
        "embedding": [None] * 20,
        "attributions": [""] * 20,
        "attention": [""] * 20,
    }
    return frame_of(FrameKind.RECORDS, "main", "r", columns)


def line(now, text, severity, number):
    columns = {
        "time": [now],
        "severity": [severity],
        "severity_number": [number],
        "body": [text],
        "event_name": [""],
        "trace_id": [bytes(16)],
        "span_id": [bytes(8)],
        "resource": [[("service.name", "scorer"), ("k8s.pod.name", "scorer-0")]],
        "attributes": [[]],
    }
    return frame_of(FrameKind.LOGS, "main", "l", columns)


@pytest.fixture(scope="module")
def fold():
    rng = np.random.default_rng(3)
    fold = Fold(spec())
    for second in range(0, 56 * 60, 30):
        now = START + second * S
        since = (now - FAULT) / S
        used = 60_000 + rng.normal(0, 20) + (21_000 * min(1.0, since / 60) if since >= 0 else 0)
        fold.points(
            [
                gauge("DCGM_FI_DEV_FB_USED", float(used), "MiBy", **LABELS),
                gauge("http.server.request.duration", 0.9 if since > 60 else 0.2, "s", service__name="shop"),
            ]
        )
        fold.feed(records(rng, second, now, 0.66 if since > 120 else 0.95))
        fold.feed(line(now, "scored a batch of 20", "INFO", 9))
        if since > 60:
            for _ in range(2):
                fold.feed(
                    line(now, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "ERROR", 17)
                )
        fold.tick(30, "s", "r", "l")
    return fold


def test_d13_the_fall_of_confidence_is_put_down_to_the_gpu_that_is_out_of_memory(fold):
    incident = next(one for one in fold.incidents.values() if "fraud" in one.entities)
    assert {"model-confidence", "gpu-memory"} <= {each.monitor for each in incident.findings}
    first = incident.causes[0]
    assert (first.kind, first.entity) == ("gpu", "GPU-7")
    assert any("known to lead to" in each and "model confidence" in each for each in first.evidence)
    assert first.links[0].startswith("/signals?signal=DCGM_FI_DEV_FB_USED")


def test_d13_what_is_slow_elsewhere_stays_apart(fold):
    shop = next(one for one in fold.incidents.values() if one.entities[0] == "shop")
    assert {each.monitor for each in shop.findings} == {"shop-latency"}
    assert shop.causes[0].kind == "unknown"
    assert len(fold.incidents) == 2


def test_d13_the_same_logs_tell_the_same(fold):
    again = {key: incident_to_json(each) for key, each in fold.again().items()}
    assert again == {key: incident_to_json(each) for key, each in fold.incidents.items()}
