"""Evaluations in events of spans: whenever these say that they were."""

import json

import pyarrow as pa
import pytest

from llm_world import HOUR, MONDAY, S, folded, genai_packs, spans_frame
from tocsin.derive.evaluations import Evaluations
from tocsin.spec.packs import load_packs

NOW = MONDAY + 9 * HOUR
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def said(time):
    event = {"name": "gen_ai.evaluation.result", "time": time}
    return event | {"attributes": {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": "0.5"}}


def frame(*events):
    return spans_frame([(NOW, CALL, {"took_s": 2, "events": events})])


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (NOW - S, NOW - S),
        (NOW - 2 * S, NOW - 2 * S),
        (NOW, NOW),
        *((each, NOW) for each in (0, NOW - 3 * S, NOW + 1, 2**62, 2**63, 2**64 - 1, 10**30, -1, None, "x", 1.5, True)),
    ],
)
def test_an_event_that_is_told_to_be_outside_its_span_was_at_its_end(told, found):
    (row,) = Evaluations(load_packs()).rows(frame(said(told))).rows()
    assert (row["start"], row["time"]) == (found, found)


def test_no_time_of_an_event_ends_the_fold():
    folded([frame(said(2**63), said(2**64 - 1))], genai_packs())


def test_events_that_nobody_can_read_are_none():
    deep = '["gen_ai.evaluation.score.value",' + "[" * 50_000 + "]" * 50_000 + "]"
    some = frame(said(NOW))
    at = some.batch.schema.get_field_index("events")
    for text in (deep, "[", json.dumps({"gen_ai.evaluation.score.value": 1})):
        batch = some.batch.set_column(at, "events", pa.array([text]))
        assert Evaluations(load_packs()).rows(type(some)(some.kind, some.tenant, some.source, batch)) is None
