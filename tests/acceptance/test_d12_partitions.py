"""D12: a fraud model misses frauds while the network of its node comes and goes: one incident, who leads, a joint runbook."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acceptance.partitions_world import CALM_S, CONFIG, STEP_S, packs, steps
from fold_world import START, Fold, S
from tocsin.correlate.reducer import Reducer
from tocsin.correlate.summary import Summariser
from tocsin.incident.severity import grader
from tocsin.model.codec import findings_frame, incident_from_json, incident_to_json
from tocsin.model.finding import Phase, finding_id
from tocsin.model.log import Output
from tocsin.model.series import Series, Signal
from tocsin.spec.load import parse_config

pytestmark = pytest.mark.acceptance

FAULT = START + CALM_S * S


def world():
    fold = Fold(parse_config(CONFIG, "tocsin.yaml", {}).config.engine_spec(packs()))
    for _, points, spans in steps(START):
        fold.points(points)
        fold.spans(spans)
        fold.tick(STEP_S, "s", "t")
    return fold


@pytest.fixture(scope="module")
def fold():
    return world()


@pytest.fixture(scope="module")
def told(fold):
    """The two incidents: what broke with the network, and the disk that filled up meanwhile."""
    found = {"disk-full" in {each.monitor for each in one.findings}: one for one in fold.incidents.values()}
    assert len(found) == len(fold.incidents) == 2
    return found[False], found[True]


def test_d12_network_restarts_latency_and_missed_frauds_are_one_incident(told):
    incident, _ = told
    wanted = {"node-network-errors", "container-restarts", "gateway-latency", "fraud-false-negatives"}
    assert {each.monitor for each in incident.findings} == wanted
    assert {"fraud", "scorer-0", "node-2", "payments"} <= set(incident.entities)


def test_d12_the_network_of_the_node_is_named_first_and_who_leads_is_told(told):
    incident, _ = told
    first, *others = incident.causes
    assert (first.kind, first.entity) == ("resource", "node-2:9100")
    assert first.score > 2 * others[0].score
    assert "it was out of line first" in first.evidence
    assert any("3 of 3 other symptoms" in each for each in first.evidence)
    assert any(each.startswith("scorer, which belongs to it") for each in first.evidence)
    restarts = next(each for each in others if each.entity == "scorer-0")
    assert any("leads fraud.false_negative_ratio of fraud by 2 min" in each for each in restarts.evidence)
    assert any("was out of line 4 min earlier" in each for each in restarts.refuted_by)
    scorer = next(each for each in others if each.entity == "scorer")
    assert any("own time" in each for each in scorer.evidence)  # requests were looked at
    assert any(each.startswith("calls of payments to scorer: ") for each in scorer.evidence)
    assert any("may only suffer from it" in each for each in scorer.refuted_by)
    assert all(each.refuted_by for each in incident.causes)


def test_d12_what_both_teams_read_is_opened_and_all_is_told_in_one_place(told):
    incident, _ = told
    document = incident_to_json(incident)
    assert document["runbooks"] == [
        {"title": "Models on a broken network", "url": "https://runbooks.example/model-network"}
    ]
    steps = Summariser([]).of(incident).of("next")
    assert steps[0].startswith("Runbook for what fails together here: Models on a broken network, https://")
    assert len(document["findings"]) == 4
    assert all(cause["links"] for cause in document["causes"])
    assert incident_to_json(incident_from_json(document)) == document


def test_d12_the_disk_that_filled_up_meanwhile_stays_apart(told):
    _, disk = told
    assert disk.entities[0] == "archive-1"
    assert [each.entity for each in disk.causes] == ["archive-1"]
    assert [each.title for each in disk.runbooks] == ["Full disks"]


def test_d12_the_same_logs_tell_the_same(fold):
    again = {key: incident_to_json(each) for key, each in fold.again().items()}
    assert again == {key: incident_to_json(each) for key, each in fold.incidents.items()}


def test_d12_a_restart_between_changes_nothing(fold):
    whole, first, second = (Reducer(fold.spec, grader(), fold.inputs) for _ in range(3))
    outputs = fold.outputs.entries
    cut = next(n for n, each in enumerate(outputs) if each.received >= FAULT + 300 * S)
    told = {}
    for output in outputs:
        whole.fold(output, fold.catalog)
    for output in outputs[:cut]:
        first.fold(output, fold.catalog)
    second.restore(first.snapshot())
    for output in outputs[:cut]:
        second.remember(output)
    for output in outputs[cut:]:
        told |= {each.incident.id: each.incident for each in second.fold(output, fold.catalog)}
    assert told
    assert second.snapshot() == whole.snapshot()


def test_d12_what_comes_to_light_late_joins(fold):
    late = next(each for one in fold.incidents.values() for each in one.findings if each.monitor == "gateway-latency")
    series = Series.of("main", Signal("fraud.feature_age", "s"), {"model": "fraud"})
    start = late.start + 60 * S
    news = replace(late, id=finding_id("main", "feature-age", series.id, start), series=series, monitor="feature-age",
                   start=start, time=start + 60 * S, phase=Phase.OPEN)  # fmt: skip
    offset = len(fold.inputs.entries) - 1
    received = fold.now + 15 * 60 * S
    said = fold.reducer.fold(Output(offset, received, True, (findings_frame([news], fold.catalog),)), fold.catalog)
    joined = [each for each in said if any(f.monitor == "feature-age" for f in each.incident.findings)]
    assert [each.incident.id for each in joined] == [next(k for k, v in fold.incidents.items() if late in v.findings)]
