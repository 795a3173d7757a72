"""What is looked at in texts and vectors."""

import numpy as np
import pyarrow as pa
import pytest

from tocsin.assess.distances import maximum_mean_discrepancy
from tocsin.assess.drift import compare
from tocsin.assess.reference import FeatureReference
from tocsin.assess.view import EmbeddingView, TextView, discrepancy
from tocsin.model.errors import BadInput

WORDS = {
    "billing": ["invoice", "refund", "payment", "card", "charge", "receipt", "subscription", "price"],
    "access": ["password", "login", "account", "reset", "email", "verify", "token", "locked"],
    "shipping": ["parcel", "delivery", "courier", "tracking", "address", "delayed", "warehouse", "customs"],
}


def questions(topic, n, seed=0, length=8):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS[topic], length)) for _ in range(n)]


@pytest.fixture(scope="module")
def reference():
    return FeatureReference.learn("prompt", questions("billing", 400) + questions("access", 400), "text")


def judged(reference, texts):
    return compare(reference, reference.sketch(texts))


def test_like_texts_are_no_drift(reference):
    assert not judged(reference, questions("billing", 100, 1) + questions("access", 100, 2)).alarm


def test_another_mix_of_topics_is_found_and_named(reference):
    row = judged(reference, questions("billing", 190, 1) + questions("access", 10, 2))
    assert row.alarm
    assert row.reason.startswith("topic:")


def test_another_length_is_found(reference):
    mixed = questions("billing", 100, 1, length=12) + questions("access", 100, 2, length=12)
    row = judged(reference, mixed)
    assert row.alarm
    assert row.reason.split(":")[0] in ("words", "characters")


def test_another_writing_system_is_found(reference):
    texts = questions("billing", 100, 1) + ["счёт оплата карта возврат цена чек тариф деньги"] * 100
    row = judged(reference, texts)
    assert row.alarm
    parts = TextView.learn(pa.array(texts)).derive(pa.array(texts)).parts
    assert set(parts["script"].to_pylist()) == {"latin", "cyrillic"}


def test_empty_and_missing_texts_are_missing(reference):
    row = judged(reference, [None, ""] * 50)
    assert row.alarm
    assert row.reason.startswith("no value in 100 % of rows")


def test_mmd_of_sketches_is_near_that_of_the_vectors():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1_500, 6)), rng.normal(0.5, 1.0, (1_000, 6))
    reference = FeatureReference.learn("e", x)
    row = compare(reference, reference.sketch(y))
    assert row.alarm
    assert row.mmd == pytest.approx(maximum_mean_discrepancy(x, y), abs=0.05)
    calm = compare(reference, reference.sketch(rng.normal(size=(1_000, 6))))
    assert not calm.alarm
    assert calm.mmd < 0.05
    halves = reference.sketch(y[:300]) + reference.sketch(y[300:])
    assert compare(reference, halves).mmd == pytest.approx(row.mmd)


def test_vectors_whose_components_turn_together_are_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 8)) * np.array([3, 2, 1, 1, 1, 1, 1, 1])
    reference = FeatureReference.learn("e", x)
    turned = rng.normal(size=(500, 8)) * np.array([2, 3, 1, 1, 1, 1, 1, 1])
    assert compare(reference, reference.sketch(turned)).alarm


def test_what_is_no_vector_is_refused_or_counted():
    with pytest.raises(BadInput, match="an embedding is a list of numbers"):
        EmbeddingView.learn(pa.array(["a", "b"]))
    with pytest.raises(BadInput, match="no vectors to learn from"):
        EmbeddingView.learn(pa.array([None, None], pa.list_(pa.float64())))
    with pytest.raises(BadInput, match="two vectors or more"):
        discrepancy(np.ones(512), 1, np.ones(512), 5)
    reference = FeatureReference.learn("e", np.random.default_rng(0).normal(size=(100, 3)))
    sketch = reference.sketch([[1.0, 2.0, 3.0], [1.0, None, 3.0], None, [], [float("inf"), 0.0, 0.0]])
    assert (sketch.rows, sketch.missing, sketch.corrupted, sketch.present) == (5, 1, 3, 1)
