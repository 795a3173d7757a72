"""Made-up and recorded traffic of calls of models, as the fold sees it: for tests of what watches calls."""

import json

import numpy as np

from tocsin.correlate.reducer import Reducer
from tocsin.derive.calls import Call
from tocsin.engine.call_watch import CallWatch
from tocsin.engine.pipeline import Pipeline
from tocsin.incident.severity import grader
from tocsin.model.codec import findings_of
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

S = 1_000_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
SOURCE = ("main", "otlp/bot")
MONDAY = 1_791_158_400 * S
"""Midnight of Monday, 5 October 2026, UTC."""
TEXTS = (
    "trace", "span", "parent", "service", "operation", "agent", "run", "session", "user", "customer", "provider", "model",
    "answered", "prompt", "version", "tool", "arguments", "finish", "refusal", "prompt_said", "said", "fingerprint",
    "canary",
)  # fmt: skip


def call(time, number=0, **said):
    """A call of a model; all that is not told is as usual or empty."""
    usual = {
        "span": f"{number:016x}", "service": "bot", "operation": "chat", "provider": "openai", "model": "gpt-4o",
        "finish": "stop", "refusal": "0", "failed": False, "counted": True, "start": time - S,
        "input_tokens": 500.0, "output_tokens": 100.0, "cost_usd": 0.01,
    }  # fmt: skip
    return Call(**{**dict.fromkeys(TEXTS, ""), **usual, "time": time, **said})


def watching(**changes):
    """A watch under the shipped packs."""
    watch = CallWatch()
    watch.adopt(EngineSpec(packs=[pack for pack in load_packs() if pack.name.startswith("genai")], **changes))
    return watch


def followed(watch, calls, votes=(), *, every=MINUTE, until=0):
    """All findings of a watch that is given calls and votes minute by minute, with the changes it saw."""
    calls, votes = sorted(calls), sorted(votes)
    found, changes = [], []
    times = [each.time for each in (*calls, *votes)]
    now, end = (min(times) // every + 1) * every, max(*times, until) + every
    one = two = 0
    while now <= end:
        first, second = one, two
        while one < len(calls) and calls[one].time <= now:
            one += 1
        while two < len(votes) and votes[two].time <= now:
            two += 1
        watch.release(SOURCE, calls[first:one], votes[second:two])
        found += [(now, each) for each in watch.close(now)]
        changes += watch.changes()
        now += every
    return found, changes


def daily(rng, day, *, n=288, usd=0.05, factor=1.0, number=0, **said):
    """Calls of one day, most of them by day, whose costs vary as those of real prompts do."""
    hours = np.sort(24 * rng.beta(2.5, 2.5, n))
    costs = usd * factor * rng.lognormal(-0.32, 0.8, n)
    return [
        call(MONDAY + day * DAY + int(h * HOUR), number + day * n + k, cost_usd=float(c), **said)
        for k, (h, c) in enumerate(zip(hours, costs, strict=True))
    ]


def genai_packs(*monitors):
    """The packs of language models, with only some of their monitors if any are named."""
    found = [pack for pack in load_packs() if pack.name.startswith(("genai", "llm"))]
    if not monitors:
        return found
    return [
        pack.model_copy(update={"monitors": [each for each in pack.monitors if each.name in monitors]})
        for pack in found
    ]


def spans_frame(rows, service="bot"):
    """A frame of spans: each row is (end, attributes, more), `more` may have trace, name, kind, took_s, status and events."""
    columns = {
        "trace_id": [more.get("trace", k + 1).to_bytes(16, "big") for k, (_, _, more) in enumerate(rows)],
        "span_id": [more.get("span", (end + k) & (1 << 62) - 1).to_bytes(8, "big") for k, (end, _, more) in enumerate(rows)],
        "parent_id": [bytes(8)] * len(rows),
        "name": [more.get("name", "chat") for _, _, more in rows],
        "kind": [more.get("kind", "client") for _, _, more in rows],
        "start": [end - round(more.get("took_s", 1) * S) for end, _, more in rows],
        "time": [end for end, _, _ in rows],
        "status": [more.get("status", "ok") for _, _, more in rows],
        "status_message": [""] * len(rows),
        "scope": [""] * len(rows),
        "resource": [{"service.name": service}] * len(rows),
        "attributes": [{key: str(value) for key, value in attributes.items()} for _, attributes, _ in rows],
        "events": [json.dumps(more.get("events", [])) for _, _, more in rows],
    }  # fmt: skip
    return frame_of(FrameKind.SPANS, "main", f"otlp/{service}", columns)


def folded(frames, packs, *, every=HOUR, then=(1 << 62, HOUR), source="otlp/bot", incidents=None, **spec):
    """What a fold says of frames, a tick after each `every` (another from a time on): findings, and change events.

    Where a dict is given, `incidents` are put into it by their ids.
    """
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    engine_spec = EngineSpec(packs=packs, **spec)
    reducer = Reducer(engine_spec, grader())
    pipeline.fold(LogRecord(0, engine_spec.control()))
    found, changes, offset = [], [], 0
    timed = sorted(
        ((int(frame.i8("time").min()), k, frame) for k, frame in enumerate(frames)), key=lambda each: each[:2]
    )
    now = timed[0][0] // every * every
    while timed:
        now += every if now < then[0] else then[1]
        while timed and int(timed[0][2].i8("time").max()) <= now:
            offset += 1
            pipeline.fold(LogRecord(offset, timed.pop(0)[2]))
        offset += 1
        told = pipeline.fold(LogRecord(offset, Tick(now, {("main", source): now})))
        if incidents is not None:
            incidents.update((step.incident.id, step.incident) for step in reducer.fold(told, catalog))
        for frame in told.frames:
            if frame.kind is FrameKind.FINDINGS:
                found += [(now, each) for each in findings_of(frame, catalog)]
            if frame.kind is FrameKind.EVENTS:
                changes += frame.rows()
    return found, changes
