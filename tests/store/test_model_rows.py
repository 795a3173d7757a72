"""Records of a model out of a real store: listed, joined with late truth, sampled by a fair and stated share."""

from __future__ import annotations

from store.test_records import frame, stored
from store.world import SECOND, T0
from tocsin.api.model_ports import ModelAsked
from tocsin.app.model_health.view import ModelHealth
from tocsin.store import model_rows
from tocsin.store.model_rows import ModelRows

FAR = 2**62
N = 400


def prediction(k, **more):
    at = T0 / 1e9 + k
    return {"prediction_id": f"p{k}", "model": "churn", "version": "1" if k % 2 else "2", "time": at, "prediction": k % 3 == 0,
            "score": 0.9 if k % 3 == 0 else 0.2, "features": {"age": k % 70}, "tags": {"region": "eu" if k % 4 else "us"}, **more}  # fmt: skip


def written(world):
    stored(
        world,
        frame(*(prediction(k) for k in range(N))),
        frame({"prediction_id": "other", "model": "other", "prediction": 1, "truth": 1}),
        frame(
            *({"prediction_id": f"p{k}", "truth": k % 6 == 0, "time": T0 / 1e9 + 86_400 + k} for k in range(0, N, 2))
        ),
        frame(prediction(0), tenant="else"),
    )
    return ModelRows(world.store.db)


def test_models_and_versions_are_listed_with_the_truth_that_came_later(world):
    rows = written(world)
    found = {row["model"]: row for row in rows.seen("main", 0, FAR)}
    assert (found["churn"]["rows"], found["churn"]["with_truth"], found["churn"]["versions"]) == (N, N // 2, ["1", "2"])
    assert (found["other"]["rows"], found["other"]["with_truth"]) == (1, 1)
    assert [row["rows"] for row in rows.seen("else", 0, FAR)] == [1]
    assert rows.seen("main", 0, T0) == []
    assert [row["rows"] for row in rows.versions("main", "churn", 0, FAR)] == [N // 2, N // 2]
    assert rows.versions("main", "nobody", 0, FAR) == []


def test_rows_are_joined_filtered_and_in_order(world):
    rows = written(world)
    found = rows.taken("main", "churn", T0, T0 + 100 * SECOND, 1000)
    assert (len(found.rows), found.of, found.sampled) == (100, 100, False)
    assert [row["time"] for row in found.rows] == [T0 + k * SECOND for k in range(100)]
    assert [row["truth"] for row in found.rows[:3]] == [True, None, False]
    assert (found.rows[1]["features"], found.rows[1]["tags"]) == ({"age": 1}, {"region": "eu"})
    assert len(rows.taken("main", "churn", 0, FAR, 1000, "2", {"region": "us"}).rows) == N // 4
    assert rows.taken("main", "churn", 0, FAR, 1000, "2", {"region": "x' OR 1=1 --"}).rows == []


def test_a_sample_is_bounded_stated_and_the_same_at_every_look(world):
    rows = written(world)
    found = rows.taken("main", "churn", 0, FAR, 100)
    assert found.of == N
    assert found.sampled
    assert 60 < len(found.rows) < 145
    again = rows.taken("main", "churn", 0, FAR, 100)
    assert [row["time"] for row in again.rows] == [row["time"] for row in found.rows]
    wider = {row["time"] for row in rows.taken("main", "churn", 0, FAR, 200).rows}
    assert {row["time"] for row in found.rows} < wider


def test_of_vectors_a_bounded_part_is_taken_the_same_at_every_look(world, monkeypatch):
    stored(world, frame(*(prediction(k, embedding=[0.5, k, 1.0]) for k in range(N))))
    rows = ModelRows(world.store.db)
    held = [row["embedding"] for row in rows.taken("main", "churn", 0, FAR, 1000).rows]
    assert held == [[0.5, float(k), 1.0] for k in range(N)]
    monkeypatch.setattr(model_rows, "MOST_NUMBERS", 3 * N // 4)
    some = [row["embedding"] for row in rows.taken("main", "churn", 0, FAR, 1000).rows]
    assert 60 < sum(each is not None for each in some) < 145
    assert some == [row["embedding"] for row in rows.taken("main", "churn", 0, FAR, 1000).rows]


def test_a_models_health_is_computed_from_the_store(world):
    view = ModelHealth(written(world), world.clock)
    asked = ModelAsked("churn", T0 + 200 * SECOND, T0 + N * SECOND)
    found = view.health("main", asked)
    assert (found["current"]["rows"], found["reference"]["rows"]) == (200, 200)
    assert found["performance"]["coverage"] == 0.5
    assert found["performance"]["realised"]["recall"]["value"] == 1.0
    assert [row["version"] for row in found["versions"]["rows"]] == ["1", "2"]
    assert view.health("else", ModelAsked("nobody", 0, FAR)) is None
