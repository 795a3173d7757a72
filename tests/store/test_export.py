from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from store.world import SECOND, T0, spans_frame
from tocsin.model.errors import BadInput
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import Output
from tocsin.store import export
from tocsin.store.exported import KINDS

AT = "2026-11-18T11:06:40.000000000Z"


def jsonl(world, kind, **options):
    return [json.loads(line) for line in b"".join(world.store.export(kind, "main", "jsonl", **options)).splitlines()]


def as_csv(world, kind, **options):
    return list(csv.DictReader(io.StringIO(b"".join(world.store.export(kind, "main", "csv", **options)).decode())))


def parquet(world, kind, **options):
    return pq.read_table(io.BytesIO(b"".join(world.store.export(kind, "main", "parquet", **options)))).to_pylist()


def test_points_carry_nanoseconds_labels_and_null_for_no_value(world):
    ref = world.ref(host_name="a")
    world.input.append([world.points([ref] * 3, [T0, T0 + 1, T0 + 2], [1.5, math.nan, math.inf])])
    world.writer.drain()
    rows = jsonl(world, "points")
    assert rows[0] == {"time": AT, "signal": "cpu", "unit": "1", "labels": {"host.name": "a"}, "value": 1.5}
    assert [row["time"][-4:] for row in rows] == ["000Z", "001Z", "002Z"]
    assert [row["value"] for row in rows] == [1.5, None, "inf"]
    assert [row["value"] for row in as_csv(world, "points")] == ["1.5", "", "inf"]
    assert json.loads(as_csv(world, "points")[0]["labels"]) == {"host.name": "a"}
    table = parquet(world, "points")
    assert [row["value"] for row in table] == [1.5, None, math.inf]
    assert dict(table[0]["labels"]) == {"host.name": "a"}


def test_a_selection_by_signal_labels_and_time(world):
    a, b = world.ref(host_name="a"), world.ref("mem", host_name="a")
    world.input.append([world.points([a, b, a], [T0, T0, T0 + SECOND], [1.0, 2.0, 3.0])])
    world.writer.drain()
    assert [row["value"] for row in jsonl(world, "points", signal="mem")] == [2.0]
    assert [row["value"] for row in jsonl(world, "points", signal="cpu", start=T0 + 1)] == [3.0]
    assert [row["value"] for row in jsonl(world, "points", end=T0 + 1)] == [1.0, 2.0]
    assert jsonl(world, "points", where={"host.name": "b"}) == []
    with pytest.raises(BadInput, match="kinds are"):
        world.store.export("pionts", "main")
    with pytest.raises(BadInput, match="no signal"):
        world.store.export("logs", "main", signal="cpu")


def test_more_rows_than_a_slice_come_in_order_and_all(world, monkeypatch):
    monkeypatch.setattr(export, "SLICE_ROWS", 100)
    ref = world.ref()
    times = T0 + np.random.default_rng(1).permutation(1000) // 2 * SECOND
    world.input.append([world.points([ref] * 1000, times, np.arange(1000))])
    world.writer.drain()
    rows = jsonl(world, "points")
    assert sorted(row["value"] for row in rows) == list(range(1000))
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert len(parquet(world, "points")) == 1000


def test_spans_have_the_fields_of_model_calls(world):
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": "10",
        "gen_ai.usage.output_tokens": "5",
        "gen_ai.usage.cost": "0",
        "gen_ai.prompt.version": "v3",
        "user.id": "u1",
        "session.id": "s1",
    }
    world.input.append(
        [spans_frame([{"attributes": attributes, "trace_id": b"\x01" * 16}, {"name": "plain", "start": T0 + 1}])]
    )
    world.writer.drain()
    call, plain = jsonl(world, "spans")
    assert (call["time"], call["trace_id"], call["parent_id"]) == (AT, "01" * 16, "")
    assert (call["operation"], call["request_model"], call["total_tokens"], call["prompt_version"]) == (
        "chat",
        "m",
        15,
        "v3",
    )
    assert call["cost_usd"] is None
    assert (call["counted"], call["estimated"], plain["counted"]) == (True, False, False)
    assert (call["context_limit_tokens"], call["context_limit_warning"], call["retries"]) == (None, None, None)
    assert (call["user"], call["session"], call["customer"]) == ("u1", "s1", None)
    assert call["labels"]["service.name"] == "bot"
    assert call["labels"]["gen_ai.request.model"] == "m"
    assert (plain["operation"], plain["error_class"], plain["input_tokens"]) == (None, None, None)
    assert [row["name"] for row in jsonl(world, "spans", where={"request_model": "m"})] == ["chat"]
    assert len(jsonl(world, "spans", where={"service.name": "bot"})) == 2


def test_distributions_logs_records_events_and_states_come_back(world):
    ref = world.ref("lat", unit="s")
    distribution = {
        "series": [ref, ref],
        "time": [T0, T0 + 1],
        "start": [0, 0],
        "flags": [0, 0],
        "count": [3.0, 2.0],
        "sum": [1.5, None],
        "min": [None, None],
        "max": [None, 1.0],
        "bounds": [[0.1, 1.0], None],
        "counts": [[1.0, 2.0, 0.0], [1.0, 1.0]],
        "scale": [None, 3],
        "zero_count": [None, 0.0],
        "offset": [None, -2],
        "negative_offset": [None, None],
        "negative_counts": [None, []],
    }
    log = {
        "time": [T0],
        "severity": ["ERROR"],
        "severity_number": [17],
        "body": ["=cmd()\x1b[31m"],
        "event_name": [""],
        "trace_id": [None],
        "span_id": [None],
        "resource": [[("service.name", "bot")]],
        "attributes": [[("k", "v")]],
    }
    record = {
        "time": [T0],
        "prediction_id": ["p1"],
        "model": ["churn"],
        "version": ["1"],
        "prediction": ["1"],
        "score": [0.7],
        "features": ['{"a": 1.5}'],
        "tags": [[("seg", "x")]],
        "truth": [""],
        "feedback": [""],
        "kind": ["prediction"],
        "embedding": [[0.5, 0.25]],
        "attributions": ['{"a":0.5}'],
        "attention": [""],
    }
    event = {"time": [T0], "kind": ["deploy"], "entity": ["bot"], "what": ["v2"], "source": ["api"], "attributes": [[]]}
    state = {"series": [ref], "time": [T0], "state": ["late"], "since": [T0], "cadence": [1]}
    given = {"distributions": distribution, "logs": log, "records": record, "events": event}
    for kind, columns in given.items():
        world.input.append([frame_of(FrameKind(kind), "main", "test", columns)])
    # the engine hands announced events on: they are stored once, from what it says
    said = (frame_of(FrameKind.EVENTS, "main", "test", event), frame_of(FrameKind.STATES, "main", "engine", state))
    world.output.append([Output(0, T0, True, said)])
    world.writer.drain()

    explicit, exponential = jsonl(world, "distributions")
    assert (explicit["bounds"], explicit["counts"], explicit["min"], explicit["unit"]) == (
        [0.1, 1.0],
        [1.0, 2.0, 0.0],
        None,
        "s",
    )
    assert (exponential["scale"], exponential["offset"], exponential["counts"]) == (3, -2, [1.0, 1.0])
    (line,) = jsonl(world, "logs")
    assert line["body"] == "=cmd()\x1b[31m"
    assert (line["severity"], line["trace_id"], line["labels"]) == ("ERROR", "", {"service.name": "bot", "k": "v"})
    assert as_csv(world, "logs")[0]["body"] == "'=cmd()\x1b[31m"
    (kept,) = jsonl(world, "records")
    assert kept == {
        "prediction_id": "p1",
        "time": AT,
        "model": "churn",
        "version": "1",
        "prediction": 1,
        "score": 0.7,
        "features": {"a": 1.5},
        "tags": {"seg": "x"},
        "truth": None,
        "feedback": None,
        "embedding": [0.5, 0.25],
        "attributions": {"a": 0.5},
        "attention": None,
    }
    assert jsonl(world, "events") == [{"time": AT, "kind": "deploy", "entity": "bot", "what": "v2", "source": "api"}]
    assert jsonl(world, "states") == [{"time": AT, "signal": "lat", "labels": {}, "state": "late"}]
    assert world.store.logs("main", search="CMD")[0]["body"].startswith("=cmd")
    assert world.store.events("main")[0]["time"] == T0


def test_an_empty_export_is_a_whole_file(world):
    for kind in KINDS:
        assert b"".join(world.store.export(kind, "main", "jsonl")) == b""
        assert len(b"".join(world.store.export(kind, "main", "csv")).splitlines()) == 1
        assert pq.read_table(io.BytesIO(b"".join(world.store.export(kind, "main", "parquet")))).column_names
