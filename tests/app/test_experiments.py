"""Live experiments: arms of stored predictions, outcomes in the order they became known, each row read once."""

from __future__ import annotations

import numpy as np
import pytest

from store.world import SECOND, T0, World
from tocsin.api.model_ports import ExperimentAsked as Asked
from tocsin.app.model_health.experiments import Experiments
from tocsin.app.model_health.metrics import Metric
from tocsin.ingest.records import record_row, rows_frame
from tocsin.model.errors import BadInput
from tocsin.model.frame import FrameKind
from tocsin.store.experiment_rows import ExperimentRows


class House:
    """A store that is written in batches, and experiments over it."""

    def __init__(self, path):
        self.world = World(path / "store")
        self.rng = np.random.default_rng(7)
        self.next = 0
        self.start()

    def start(self):
        self.source = Counting(ExperimentRows(self.world.store.db))
        self.live = Experiments(self.source, stretch_rows=3000)

    def store(self, rows, tenant="main"):
        made = [record_row({"time": T0 / 1e9, **row}, T0 + 400 * 86_400 * SECOND, 0) for row in rows]
        self.world.clock.advance(SECOND)
        self.world.input.append([rows_frame(FrameKind.RECORDS, tenant, "records", made)])
        self.world.writer.drain()

    def predicted(self, count, rates, *, model="bot", shares=None, tag="prompt"):
        """Predictions in arms of their own; gives (id, whether it will be resolved)."""
        names = list(rates)
        arms = self.rng.choice(len(names), count, p=shares)
        ids = [f"{model}-{self.next + k}" for k in range(count)]
        self.next += count
        self.store(
            [
                {"prediction_id": of, "model": model, "version": "1", "prediction": "answer", "tags": {tag: names[arm]}}
                for of, arm in zip(ids, arms, strict=True)
            ]
        )
        return [(of, bool(self.rng.random() < rates[names[arm]])) for of, arm in zip(ids, arms, strict=True)]

    def resolved(self, pairs):
        self.store([{"prediction_id": of, "feedback": {"resolved": came}} for of, came in pairs])

    def look(self, **asked):
        return self.live.look(
            "main", Asked(**{"model": "bot", "arm": "prompt", "metric": "feedback.resolved", **asked})
        )


class Counting:
    """Counts the rows that are read."""

    def __init__(self, source):
        self.source, self.read, self.asked_for_arms = source, 0, 0

    def __getattr__(self, name):
        return getattr(self.source, name)

    def arms(self, trial):
        self.asked_for_arms += 1
        return self.source.arms(trial)

    def came(self, *args):
        table = self.source.came(*args)
        self.read += table.num_rows
        return table


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.world.close()


def test_three_prompts_on_live_feedback_that_comes_late(house):
    rates = {"control": 0.4, "short": 0.55, "long": 0.4}
    late = house.predicted(3000, rates)
    first = house.look()
    assert first["method"] is None
    assert "a comparison begins at 200" in first["say"]
    for _ in range(3):
        more = house.predicted(3000, rates)
        house.resolved(late)
        late = more
        found = house.look()
    outcomes = {each["treatment"]: each["outcome"] for each in found["treatments"]}
    assert outcomes == {"short": "better", "long": "undecided"}
    assert found["control"] == "control"
    assert sum(arm["rows"] for arm in found["arms"]) == 12_000
    assert sum(arm["missing"] for arm in found["arms"]) == pytest.approx(3000, abs=20)
    assert not found["ratio"]["mismatch"]
    assert "short is better than control" in found["say"]
    assert len(found["looks"]) == 3


def test_each_row_is_read_once_and_a_start_anew_says_the_same(house):
    rates = {"a": 0.3, "b": 0.45}
    for _ in range(3):
        house.resolved(house.predicted(2000, rates))
        found = house.look()
        assert found == house.look()
    assert (house.source.read, house.source.asked_for_arms) == (6000, 1)
    house.start()
    again = house.look()
    assert again["treatments"] == found["treatments"]
    assert again["arms"] == found["arms"]
    assert again["treatments"][0]["decided_at"] is not None


def test_an_arm_that_joins_later_makes_a_new_experiment(house):
    house.resolved(house.predicted(600, {"a": 0.5, "b": 0.5}))
    assert [arm["arm"] for arm in house.look()["arms"]] == ["a", "b"]
    house.resolved(house.predicted(600, {"a": 0.5, "b": 0.5, "c": 0.5}))
    house.look()  # sees that there is another
    assert [arm["arm"] for arm in house.look()["arms"]] == ["a", "b", "c"]
    assert [arm["arm"] for arm in house.look(arms=("a", "b"))["arms"]] == ["a", "b"]


def test_the_first_word_on_an_id_counts_and_others_change_nothing(house):
    pairs = house.predicted(1000, {"a": 0.5, "b": 0.5})
    house.resolved(pairs)
    found = house.look()
    house.resolved([(of, True) for of, _ in pairs])
    after = house.look()
    assert [arm["missing"] for arm in after["arms"]] == [arm["missing"] for arm in found["arms"]]
    assert after["treatments"][0]["means"] == found["treatments"][0]["means"]


def test_feedback_before_its_prediction_counts_when_that_comes(house):
    house.store([{"prediction_id": f"early-{n}", "feedback": {"resolved": True}} for n in range(300)])
    house.predicted(500, {"a": 0.5, "b": 0.5})
    assert house.look()["known_rows"] == 0
    house.store(
        [
            {"prediction_id": f"early-{n}", "model": "bot", "prediction": "x", "tags": {"prompt": "ab"[n % 2]}}
            for n in range(300)
        ]
    )
    assert house.look()["known_rows"] == 300


def test_a_wrong_split_is_named_and_nothing_is_claimed(house):
    house.resolved(house.predicted(6000, {"a": 0.2, "b": 0.6}, shares=[0.7, 0.3]))
    (found,) = house.look()["treatments"]
    assert found["outcome"] == "ratio_mismatch"
    (right,) = house.look(shares=(7, 3))["treatments"]
    assert right["outcome"] == "better"


def test_versions_by_accuracy_and_by_a_feature(house):
    rng = house.rng
    house.store(
        [
            {
                "prediction_id": f"x{n}", "model": "fraud", "version": "12"[n % 2], "prediction": True,
                "truth": bool(rng.random() < (0.7 if n % 2 else 0.85)), "score": float(rng.random()),
                "features": {"basket": float(rng.normal(10 + n % 2, 2))},
            }
            for n in range(4000)
        ]
    )  # fmt: skip
    accuracy = house.look(model="fraud", arm="version", metric="accuracy")
    assert (accuracy["method"], accuracy["treatments"][0]["outcome"]) == ("exact", "worse")
    basket = house.look(model="fraud", arm="version", metric="features.basket")
    assert (basket["method"], basket["treatments"][0]["outcome"]) == ("clt", "better")
    score = house.look(model="fraud", arm="version", metric="score", bounds=(0.0, 1.0))
    assert (score["method"], score["treatments"][0]["outcome"]) == ("exact", "undecided")


def test_what_is_not_there_is_refused_with_the_nearest(house):
    house.resolved(house.predicted(300, {"old": 0.5, "new": 0.5}))
    assert house.look(model="nobody") is None
    for asked, words in (
        ({"metric": "acuracy"}, "did you mean `accuracy`"),
        ({"control": "odl"}, "did you mean `old`"),
        ({"arm": "version"}, "an experiment has 2 to 20 arms"),
        ({"arm": "prmpt"}, "has 0 values"),
        ({"shares": (1, 2, 3)}, "the ratio has 3 parts for 2 arms"),
    ):
        with pytest.raises(BadInput, match=words):
            house.look(**asked)


def test_a_look_reads_so_much_and_the_next_goes_on(house):
    for _ in range(3):
        house.resolved(house.predicted(1500, {"a": 0.5, "b": 0.5}))
    live = Experiments(ExperimentRows(house.world.store.db), stretch_rows=100)
    asked = Asked(model="bot", arm="prompt", metric="feedback.resolved")
    assert live.look("main", asked)["known_rows"] == 4500  # a batch is never cut
    assert live.look("other", asked) is None


def test_looked_at_after_every_batch_few_equal_arms_are_ever_told_apart():
    """200 runs of three equal arms, looked at 30 times each: at most the level decides (here 5 %)."""
    from tocsin.assess.ab import Design, Experiment

    rng = np.random.default_rng(3)
    decided = 0
    for _ in range(200):
        run = Experiment(Design(("a", "b", "c"), (1, 1, 1), plan=2000))
        for _ in range(30):
            arm = rng.integers(0, 3, 200).astype("i4")
            run.add(arm, (rng.random(200) < 0.3).astype("f8"))
            run.check()
        decided += any(each.outcome != "undecided" for each in run.look())
    assert decided <= 200 * 0.05 + 3 * (200 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize(
    ("name", "prediction", "raw", "value"),
    [
        ("accuracy", '"cat"', '"cat"', 1.0),
        ("accuracy", "true", "0", 0.0),
        ("absolute error", "2.5", "4", 1.5),
        ("positive predictions", "1", "", 1.0),
        ("feedback", "", '"thumbs_down"', 0.0),
        ("feedback.rating", "", '{"rating": 4}', 4.0),
        ("feedback.rating", "", '{"rating": "<script>"}', None),
        ("tags.converted", "", "yes", 1.0),
        ("tags.price", "", "12.5", 12.5),
        ("tags.price", "", 'x"y', None),
        ("features.n", "", "3", 3.0),
        ("features.n", "", "", None),
        ("score", "", "0.25", 0.25),
    ],
)
def test_values_of_metrics(name, prediction, raw, value):
    (found,) = Metric.parse(name).values([prediction], [raw]).tolist()
    assert (None if np.isnan(found) else found) == value
