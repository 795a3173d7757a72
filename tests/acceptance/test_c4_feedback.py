"""C4: more than a tenth of thumbs down within an hour is found, joined to its traces, with the segment it comes from."""

import json

import numpy as np
import pytest

from llm_world import HOUR, MINUTE, MONDAY, S, folded, genai_packs, spans_frame
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, frame_of

pytestmark = pytest.mark.acceptance

EVENT = "gen_ai.evaluation.result"
GOOD_HOURS = 10
PIECE = 10


def chat(version):
    return {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 100, "gen_ai.prompt.version": version,
        "tenant.id": "acme",
    }  # fmt: skip


def verdict(bad):
    return {"gen_ai.evaluation.name": "thumbs", "gen_ai.evaluation.score.label": "thumbs_down" if bad else "thumbs_up"}


def logs(rows):
    """Thumbs that come later, as log records with the ids of their calls."""
    told = [
        {
            "time": at, "severity": "INFO", "severity_number": 9, "body": "", "event_name": EVENT,
            "trace_id": trace.to_bytes(16, "big"), "span_id": trace.to_bytes(8, "big"), "resource": {"service.name": "bot"},
            "attributes": verdict(bad),
        }
        for at, trace, bad in rows
    ]  # fmt: skip
    return frame_of(FrameKind.LOGS, "main", "otlp/bot", {name: [row[name] for row in told] for name in told[0]})


def records(rows):
    """Thumbs as they come with inference records."""
    told = [
        {
            "time": at, "prediction_id": str(number), "model": "answers", "version": "1", "prediction": '"x"',
            "score": None, "features": "{}", "tags": {"prompt_version": "v2"}, "truth": "",
            "feedback": json.dumps({"thumbs": not bad}), "kind": "prediction", "embedding": None, "attributions": "",
            "attention": "",
        }
        for at, number, bad in rows
    ]  # fmt: skip
    return frame_of(FrameKind.RECORDS, "main", "otlp/bot", {name: [row[name] for row in told] for name in told[0]})


def world(way, seed):
    """Ten hours of answers with three of a hundred thumbs down; then version v2, with six of ten of them down."""
    rng = np.random.default_rng(seed)
    found = []
    for begin in range(0, 11 * 60, PIECE):
        minutes = range(begin, begin + PIECE)
        new = [k >= GOOD_HOURS * 60 and k % 2 == 0 for k in minutes]
        thumbs = [
            (MONDAY + k * MINUTE + S, k + 1, bool(rng.random() < (0.6 if v2 else 0.03)))
            for k, v2 in zip(minutes, new, strict=True)
        ]
        if way == "records":
            found.append(records(thumbs))
            continue
        rows = []
        for (at, number, bad), v2 in zip(thumbs, new, strict=True):
            event = {"name": EVENT, "time": at, "attributes": verdict(bad)}
            said = {"trace": number, "span": number, "events": [event] if way == "span events" else []}
            rows.append((at, chat("v2" if v2 else "v1"), said))
        found.append(spans_frame(rows))
        if way == "log records":
            found.append(logs([(at + 20 * S, number, bad) for at, number, bad in thumbs]))
    return found


@pytest.mark.parametrize("way", ["span events", "log records", "records"])
def test_c4_thumbs_down_beyond_a_tenth_within_an_hour(way):
    found, _ = folded(world(way, 3), genai_packs("feedback-negative"), every=PIECE * MINUTE)
    assert {each.monitor for _, each in found} == {"feedback-negative"}
    at, first = found[0]
    assert first.phase is Phase.OPEN
    assert MONDAY + GOOD_HOURS * HOUR < at <= MONDAY + (GOOD_HOURS + 1) * HOUR
    assert first.value > 0.1
    labels = dict(first.series.labels)
    assert labels == ({"model": "answers"} if way == "records" else {"service.name": "bot"}) | {"feedback": "thumbs"}
    if way != "records":
        assert found[-1][1].evidence["segment"] == "prompt.version=v2"
