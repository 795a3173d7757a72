"""C4: more than a tenth of thumbs down within an hour, or worse stars, are found, joined to traces, with their segment."""

import json

import numpy as np
import pyarrow as pa
import pytest

from llm_world import HOUR, MINUTE, MONDAY, S, folded, genai_packs, spans_frame
from tocsin.model.finding import Phase
from tocsin.model.frame import Frame, FrameKind, frame_of

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


STARS = np.array([0.03, 0.05, 0.12, 0.3, 0.5])
WORSE = np.array([0.2, 0.25, 0.25, 0.2, 0.1])
TOPICS = ("billing", "delivery", "returns")


def graded(way, seed, *, worse="returns", hours=GOOD_HOURS + 1):
    """Hours of answers with stars, their scale told or not, or a share; in the last hour those of one topic are worse."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(hours * 60 * 2):
        at, topic = MONDAY + k * MINUTE // 2 + S, TOPICS[k % 3]
        bad = k >= GOOD_HOURS * 120 and topic == worse
        stars = int(rng.choice(5, p=WORSE if bad else STARS)) + 1
        told = {
            "stars": {"gen_ai.evaluation.score.value": stars},
            "stars of five": {
                "gen_ai.evaluation.score.value": stars,
                "gen_ai.evaluation.score.min": 1,
                "gen_ai.evaluation.score.max": 5,
            },
            "text": {"gen_ai.evaluation.score.value": f"{stars}/5"},
            "share": {"gen_ai.evaluation.score.value": round((stars - 1) / 4, 2)},
        }[way]
        event = {"name": EVENT, "time": at, "attributes": {"gen_ai.evaluation.name": "user_rating", **told}}
        rows.append((at, chat("v1") | {"topic": topic}, {"trace": k + 1, "span": k + 1, "events": [event]}))
    size = PIECE * 2
    return [spans_frame(rows[k : k + size]) for k in range(0, len(rows), size)]


@pytest.mark.parametrize("way", ["stars", "stars of five", "text", "share"])
def test_c4_worse_grades_of_one_topic(way):
    found, _ = folded(graded(way, 7), genai_packs("feedback-negative", "feedback-grades"), every=PIECE * MINUTE)
    assert {each.monitor for _, each in found} == {"feedback-grades"}
    at, first = found[0]
    assert first.phase is Phase.OPEN
    assert MONDAY + GOOD_HOURS * HOUR < at <= MONDAY + (GOOD_HOURS + 1) * HOUR
    assert dict(first.series.labels) == {"service.name": "bot", "feedback": "user_rating"}
    last = found[-1][1]
    assert last.evidence["segment"] == "topic=returns"
    scale, usual = {"share": ("0 to 1", 0.8), "text": ("0 to 5", 4.2)}.get(way, ("1 to 5", 4.2))
    assert last.evidence["scale"] == scale
    assert last.evidence["usual"] == pytest.approx(usual, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_grades_as_ever_say_nothing(seed):
    frames = graded("stars", 100 + seed, worse="nothing", hours=30)
    assert not folded(frames, genai_packs("feedback-negative", "feedback-grades"), every=PIECE * MINUTE)[0]


def test_stars_of_records_by_region():
    rng = np.random.default_rng(2)
    frames = []
    for hour in range(GOOD_HOURS + 1):
        rows = []
        for k in range(120):
            region = "eu" if k % 2 else "us"
            p = WORSE if hour == GOOD_HOURS and region == "us" else STARS
            rows.append(
                (
                    MONDAY + hour * HOUR + k * MINUTE // 2 + S,
                    hour * 1000 + k,
                    False,
                    region,
                    int(rng.choice(5, p=p)) + 1,
                )
            )
        frame = records([row[:3] for row in rows]).batch
        tags = [[("region", row[3])] for row in rows]
        feedback = [json.dumps({"rating": row[4], "clicked": True}) for row in rows]
        for name, values in (("tags", tags), ("feedback", feedback)):
            place = frame.schema.get_field_index(name)
            frame = frame.set_column(place, frame.schema.field(place), pa.array(values, frame.schema.field(place).type))
        frames.append(Frame(FrameKind.RECORDS, "main", "otlp/bot", frame))
    found, _ = folded(frames, genai_packs("feedback-negative", "feedback-grades"))
    assert {each.monitor for _, each in found} == {"feedback-grades"}
    assert found[-1][1].evidence["segment"] == "cloud.region=us"
    assert dict(found[0][1].series.labels) == {"model": "answers", "feedback": "rating"}
