"""D13: a model's confidence falls because its GPU is out of memory; nobody says so, the records and the machine do."""

from __future__ import annotations

import pytest

from acceptance.memory_world import CONFIG, SCORER, STEP_S, packs, steps
from fold_world import START, Fold
from tocsin.model.codec import incident_to_json
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.load import parse_config

pytestmark = pytest.mark.acceptance


def records_frame(rows):
    """What the model said in one step, (id, time, score) each."""
    n = len(rows)
    empty = {name: [""] * n for name in ("truth", "feedback", "attributions", "attention")}
    columns = {
        **empty,
        "time": [time for _, time, _ in rows],
        "prediction_id": [key for key, _, _ in rows],
        "model": ["fraud"] * n,
        "version": ["3"] * n,
        "prediction": ['"ok"'] * n,
        "score": [score for *_, score in rows],
        "features": ["{}"] * n,
        "tags": [[]] * n,
        "kind": ["prediction"] * n,
        "embedding": [None] * n,
    }
    return frame_of(FrameKind.RECORDS, "main", "r", columns)


def lines_frame(now, lines):
    """Log lines of now, (text, severity, number) each."""
    n = len(lines)
    columns = {
        "time": [now] * n,
        "severity": [severity for _, severity, _ in lines],
        "severity_number": [number for *_, number in lines],
        "body": [text for text, _, _ in lines],
        "event_name": [""] * n,
        "trace_id": [bytes(16)] * n,
        "span_id": [bytes(8)] * n,
        "resource": [list(SCORER.items())] * n,
        "attributes": [[]] * n,
    }
    return frame_of(FrameKind.LOGS, "main", "l", columns)


@pytest.fixture(scope="module")
def fold():
    fold = Fold(parse_config(CONFIG, "tocsin.yaml", {}).config.engine_spec(packs()))
    for points, records, lines in steps(START):
        fold.points(points)
        fold.feed(records_frame(records))
        fold.feed(lines_frame(fold.now, lines))
        fold.tick(STEP_S, "s", "r", "l")
    return fold


def test_d13_the_fall_of_confidence_is_put_down_to_the_gpu_that_is_out_of_memory(fold):
    incident = next(one for one in fold.incidents.values() if "fraud" in one.entities)
    assert {"model-confidence", "gpu-memory", "log-new-errors"} <= {each.monitor for each in incident.findings}
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
