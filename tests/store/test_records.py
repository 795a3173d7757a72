"""Records out of the store: one row per prediction, joined with what came for it."""

from __future__ import annotations

import json

import pytest

from store.world import SECOND, T0
from tocsin.ingest.records import record_row, rows_frame
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.record import OUTCOMES_SOURCE
from tocsin.store import telemetry
from tocsin.store.schema import BY_NAME
from tocsin.store.telemetry import TelemetryStore

DAY = 86_400 * SECOND


def frame(*rows, tenant="main", source="records"):
    made = [record_row({"time": T0 / 1e9, **row}, T0 + 400 * DAY, 0) for row in rows]
    return rows_frame(FrameKind.RECORDS, tenant, source, made)


def stored(world, *frames):
    for one in frames:
        world.clock.advance(SECOND)
        world.input.append([one])
        world.writer.drain()


def joined(world, **options):
    return {row["prediction_id"]: row for row in world.rows("records", **options)}


def test_truth_and_feedback_of_months_later_stand_in_the_row_of_their_prediction(world):
    later = T0 / 1e9 + 100 * 86_400
    stored(
        world,
        frame({"prediction_id": "a", "model": "churn", "prediction": "yes", "score": 0.7}, {"prediction_id": "b", "score": 0.1}),
        frame({"prediction_id": "a", "truth": False, "time": later}, {"prediction_id": "a", "feedback": {"clicked": True}}),
        frame({"prediction_id": "a", "feedback": {"rating": 4}, "time": later + 1}),
    )  # fmt: skip
    found = joined(world)
    assert list(found) == ["b", "a"] or list(found) == ["a", "b"]
    assert (found["a"]["prediction"], found["a"]["truth"], found["a"]["feedback"]) == (
        "yes",
        False,
        {"clicked": True, "rating": 4},
    )
    assert (found["b"]["truth"], found["b"]["feedback"]) == (None, None)
    assert len(joined(world, end=T0 + 1)) == 2, "the time of a row is that of its prediction"
    assert not joined(world, start=T0 + 1)
    assert list(joined(world, where={"model": "churn"})) == ["a"]


def test_truth_that_comes_first_is_kept_and_joined(world):
    stored(world, frame({"prediction_id": "a", "truth": 1}))
    assert world.rows("records") == []
    stored(world, frame({"prediction_id": "a", "prediction": 0}))
    (row,) = world.rows("records")
    assert (row["prediction"], row["truth"]) == (0, 1)


def test_the_first_prediction_and_the_last_truth_count(world):
    stored(
        world,
        frame({"prediction_id": "a", "prediction": 1, "time": T0 / 1e9 + 5}, {"prediction_id": "a", "prediction": 2, "time": T0 / 1e9 + 9}),
        frame({"prediction_id": "a", "prediction": 3, "time": T0 / 1e9}),
        frame({"prediction_id": "a", "truth": 7, "time": T0 / 1e9 + 20}),
        frame({"prediction_id": "a", "truth": 6, "time": T0 / 1e9 + 10}),
    )  # fmt: skip
    (row,) = world.rows("records")
    assert (row["prediction"], row["truth"]) == (1, 7)


def test_ids_are_of_a_tenant_and_no_id_is_no_id(world):
    stored(
        world,
        frame({"prediction_id": "a", "prediction": 1}, {"prediction": 2}, {"prediction": 3, "truth": 3}),
        frame({"prediction_id": "a", "truth": 9}, tenant="other"),
    )
    rows = sorted(world.rows("records"), key=lambda row: row["prediction"])
    assert [(row["prediction"], row["truth"]) for row in rows] == [(1, None), (2, None), (3, 3)]
    assert world.rows("records", tenant="other") == []


def test_outcomes_are_not_stored_again(world):
    stored(world, frame({"prediction_id": "a", "prediction": 1}))
    back = frame({"prediction_id": "a", "prediction": 1, "truth": 1})
    stored(world, Frame(back.kind, back.tenant, OUTCOMES_SOURCE, back.batch))
    assert [row["truth"] for row in world.rows("records")] == [None]


def test_csv_and_parquet_have_the_same_columns(world):
    stored(
        world,
        frame(
            {"prediction_id": "a", "prediction": {"label": "x"}, "embedding": [1, 2]},
            {"prediction_id": "a", "feedback": 1},
        ),
    )
    head, line = b"".join(world.store.export("records", "main", "csv")).decode().splitlines()
    assert head.split(",")[-5:] == ["truth", "feedback", "embedding", "attributions", "attention"]
    assert line.endswith(',,1,"[1.0, 2.0]",,')
    assert json.loads(next(iter(world.store.export("records", "main", "jsonl"))))["embedding"] == [1.0, 2.0]
    assert b"PAR1" in b"".join(world.store.export("records", "main", "parquet"))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_an_older_program_is_grown(world, read_only):
    stored(world, frame({"prediction_id": "a", "prediction": 1}))
    holding = world.store.layout.holding(BY_NAME["records"])
    on = f" ON CLUSTER `{world.cluster.name}`" if world.cluster else ""
    for name in ("kind", "embedding", "attributions", "attention"):
        for table in dict.fromkeys(("records", holding)):
            world.store.db.command(f"ALTER TABLE tocsin.{table}{on} DROP COLUMN {name}")
    world.store.db.command(f"ALTER TABLE tocsin.{holding}{on} DROP INDEX by_prediction")
    if world.store.embedded:
        (world.path / telemetry._LAYOUT).write_text('{"version": 1}')
    world.store.close()
    if world.cluster and read_only:  # who only reads a cluster changes nothing there: its writer has grown it
        TelemetryStore(world.path, cluster=world.cluster).close()
    world.store = TelemetryStore(world.path, read_only=read_only, cluster=world.cluster)
    assert [row["prediction"] for row in joined(world).values()] == [1]
    world.writer = world.new_writer()
    stored(world, frame({"prediction_id": "a", "truth": 1}, {"prediction_id": "b", "prediction": 2}))
    assert [row["truth"] for row in joined(world).values()] == [1, None]
