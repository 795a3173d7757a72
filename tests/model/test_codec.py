import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model.codec import (
    finding_from_json,
    finding_to_json,
    findings_frame,
    findings_of,
    incident_from_json,
    incident_to_json,
    message_from_json,
    message_to_json,
)
from tocsin.model.errors import BadInput
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Cause, Change, Incident, IncidentState, Severity
from tocsin.model.message import Message
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.model.times import time_from_json, time_to_json

SERIES = Series.of(
    "t", Signal("a.b", "s", Kind.SUM, monotonic=True, cumulative=True), {"service.name": "bot", "x": "1"}
)
FINDING = Finding(
    id=bytes(range(16)),
    phase=Phase.UPDATE,
    tenant="t",
    monitor="m",
    series=SERIES,
    start=1_700_000_000_000_000_001,
    end=1_700_000_000_000_000_002,
    time=1_700_000_000_000_000_003,
    value=3.25,
    expected=(-math.inf, 1.5),
    log10_p=-12.5,
    n_eff=100.0,
    level=-6.0,
    direction="up",
    evidence={"score": 9.5, "why": "inf", "far": math.inf},
)
INCIDENT = Incident(
    id="inc-1",
    tenant="t",
    title="x",
    state=IncidentState.ACKNOWLEDGED,
    severity=Severity.ERROR,
    severity_arithmetic="a",
    findings=(FINDING,),
    causes=(Cause("prompt", "bot", "v1 -> v2", 0.9, ("e",), ("r",)),),
    changes=(Change(7, "deploy", "cart", "1.2", "ci"),),
    entities=("bot",),
    opened_at=5,
    updated_at=6,
    resolved_at=None,
    dedup_key="k",
    late=True,
    reopened=2,
    statement="s",
    impact={"users": "high", "n": 3.0},
)


def through(value):
    return json.loads(json.dumps(value, allow_nan=False))


@given(st.integers(-(2**62), 2**62))
def test_times_are_exact(time):
    assert time_from_json(time_to_json(time)) == time


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.12xZ"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadInput):
        time_from_json(text)


def test_finding_comes_back_as_it_was():
    assert finding_from_json(through(finding_to_json(FINDING))) == FINDING
    assert finding_to_json(FINDING, "bot")["entity"] == "bot"


def test_nan_is_null_and_comes_back():
    odd = replace(FINDING, value=math.nan, expected=(math.nan, 2.0))
    found = through(finding_to_json(odd))
    assert found["value"] is None
    assert found["expected"] == [None, 2.0]
    back = finding_from_json(found)
    assert math.isnan(back.value)
    assert math.isnan(back.expected[0])


def test_incident_and_message_come_back():
    found = through(incident_to_json(INCIDENT, pages=[{"destination": "pd"}]))
    assert incident_from_json(found) == INCIDENT
    assert found["findings"][0]["entity"] == "bot"
    assert found["severity"] == "error"
    assert found["pages"] == [{"destination": "pd"}]
    message = Message("id", "t", "pd", "trigger", INCIDENT, "k", 1, 2, attempts=3, dry_run=True, reason="r")
    assert message_from_json(through(message_to_json(message))) == message


@pytest.mark.parametrize(
    ("key", "value"), [("id", "zz"), ("phase", "x"), ("direction", "x"), ("start", "x"), ("expected", 1)]
)
def test_broken_json_of_a_finding_is_bad_input(key, value):
    with pytest.raises(BadInput):
        finding_from_json(finding_to_json(FINDING) | {key: value})


def test_findings_frame_round_trip_into_another_catalog():
    catalog = Catalog()
    catalog.intern(Series.of("t", Signal("other"), {}))
    rows = [FINDING, replace(FINDING, id=b"b" * 16, phase=Phase.CLOSE)]
    frame = findings_frame(rows, catalog, "t")
    assert frame.tenant == "t"
    assert findings_of(frame, catalog) == rows
