"""The scorecard of shadow mode: formats of history, who meets whom, and the gate."""

import dataclasses

import pytest

from incident_world import latency
from tocsin.incident.scorecard import Gate, alerts_of, scorecard
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident, IncidentState, Severity
from tocsin.model.times import time_from_json, time_to_json

AT = time_from_json("2026-01-01T10:00:00Z")
MINUTE = 60 * 10**9


def incident(number, at=AT, entity="web", lasts=10 * MINUTE):
    finding = dataclasses.replace(latency(), start=at, end=at + lasts)
    return Incident(
        id=f"inc-{number:020d}", tenant="main", title=f"number {number}", state=IncidentState.RESOLVED,
        severity=Severity.WARNING, severity_arithmetic="", findings=(finding,), causes=(), changes=(),
        entities=(entity,), opened_at=at, updated_at=at + lasts, resolved_at=at + lasts, dedup_key="",
    )  # fmt: skip


def row(at, service="web", lasts=5 * MINUTE):
    labels = {"alertname": "Slow", "service": service, "severity": "page"}
    return {"labels": labels, "startsAt": time_to_json(at), "endsAt": time_to_json(at + lasts)}


def test_every_format_gives_the_same_alert():
    seconds = AT / 1e9
    ranges = {"data": {"result": [{
        "metric": {"alertname": "Slow", "alertstate": "firing", "service": "web"},
        "values": [[seconds + 60 * i, "1"] for i in (0, 1, 2, 60, 61)],
    }, {"metric": {"alertname": "Slow", "alertstate": "pending"}, "values": [[seconds, "1"]]}]}}  # fmt: skip
    plain = [{"name": "Slow", "start": time_to_json(AT), "labels": {"service": "web"}}]
    for document in ([row(AT)], {"version": "4", "alerts": [row(AT)]}, {"data": {"alerts": [row(AT)]}}, plain):
        (found,) = alerts_of(document)
        assert (found.name, found.start, found.labels["service"]) == ("Slow", AT, "web")
    first, second = alerts_of(ranges)
    assert (first.start, first.end) == (AT, AT + 2 * MINUTE)
    assert second.start == AT + 60 * MINUTE
    assert alerts_of([dict(row(AT), endsAt="0001-01-01T00:00:00Z")])[0].end is None
    assert alerts_of([each.to_json() for each in alerts_of([row(AT)])]) == alerts_of([row(AT)])


@pytest.mark.parametrize("bad", ["text", {"alerts": 5}, [{"labels": {}}], [5], [{"start": "never"}]])
def test_what_is_no_history_is_refused(bad):
    with pytest.raises(BadInput):
        alerts_of(bad)


def test_precision_recall_overlap_and_lead():
    hour = 60 * MINUTE
    ours = [
        (incident(1), ""),  # has an alert, five minutes later
        (incident(2, AT + hour), ""),  # alone
        (incident(3, AT + 2 * hour), "real_problem"),  # alone, and real all the same
        (incident(4, AT + 3 * hour, entity="db"), ""),  # an alert at that time is about another
        (incident(5, AT + 5 * hour), "false_alarm"),  # has an alert, and people call it false
    ]
    alerts = alerts_of(
        [
            row(AT + 5 * MINUTE),
            row(AT + 3 * hour),
            row(AT + 4 * hour),
            row(AT + 5 * hour),
            row(AT + 6 * hour, "unheard"),
        ]
    )
    found = scorecard(ours, alerts, Gate(precision=0.4, recall=0.4))
    assert found["precision"] == 2 / 5
    assert found["recall"] == 2 / 5
    assert found["overlap"] == 2 / 8
    assert found["lead_s"] == 150
    assert [each["start"] for each in found["alerts_missed"]] == [time_to_json(AT + h * hour) for h in (3, 4, 6)]
    assert [each["id"][-1] for each in found["incidents_alone"]] == ["2", "3", "4"]
    assert found["gate"]["passed"]


def test_the_gate_says_what_is_wanting():
    found = scorecard([(incident(1), "false_alarm")], alerts_of([row(AT + 600 * MINUTE)]), Gate())
    assert not found["gate"]["passed"]
    assert len(found["gate"]["reasons"]) == 3
    assert not scorecard([], [], Gate(least=1))["gate"]["passed"]
