"""P(x), P(y) and P(y|x) told apart on worlds where one knows which moved."""

import numpy as np
import pytest

from tocsin.assess.moved import CONCEPT, DATA, LABEL, Labelled, told_apart
from tocsin.model.errors import BadInput


def world(seed, n=8_000, shift=0.0, flip=0.0, intercept=-0.5, classes=False):
    """A model that knows P(y|x) of the reference: logit = 2 x1 - x2 + intercept; `flip` of truths above x1 = 0 turn."""
    rng = np.random.default_rng(seed)
    x1, x2, x3 = rng.normal(shift, 1, n), rng.normal(size=n), rng.choice(["a", "b"], n)
    score = 1 / (1 + np.exp(-(2 * x1 - x2 - 0.5)))
    chance = 1 / (1 + np.exp(-(2 * x1 - x2 + intercept)))
    y = rng.random(n) < chance
    y ^= (rng.random(n) < flip) & (x1 > 0)
    features = {"x1": x1, "x2": x2, "x3": x3}
    return Labelled(features, np.where(score > 0.5, "yes", "no"), np.where(y, "yes", "no")) if classes else Labelled(
        features, score, y.astype(float)
    )  # fmt: skip


@pytest.mark.parametrize("classes", [False, True])
def test_nothing_moved(classes):
    found = told_apart(world(0, classes=classes), world(1, classes=classes))
    assert found.kinds == ()
    assert found.said == ()


def test_data_drift_that_the_model_knows_moves_the_labels_and_not_the_concept():
    found = told_apart(world(0), world(1, shift=0.8))
    assert found.kinds == (DATA, LABEL)
    assert [row.name for row in found.features if row.alarm] == ["x1"]
    assert found.said[0].startswith("data drift: 1 of 3 features moved, first of all x1:")


@pytest.mark.parametrize("classes", [False, True])
def test_concept_drift_is_told_without_data_drift(classes):
    found = told_apart(world(0, classes=classes), world(1, flip=0.3, classes=classes))
    assert CONCEPT in found.kinds
    assert DATA not in found.kinds
    assert found.said[-1].startswith("concept drift: of ")


def test_truths_that_became_rarer_everywhere_are_label_and_concept_drift():
    found = told_apart(world(0), world(1, intercept=-2.5))
    assert found.kinds == (LABEL, CONCEPT)


def test_unknown_truths_are_left_out():
    known = world(1)
    truth = known.truth.copy()
    truth[::2] = np.nan
    found = told_apart(world(0), Labelled(known.features, known.prediction, truth))
    assert not found.concept
    assert found.truth.alarm  # half of all truths are missing, and that is said
    assert "no value in" in found.truth.reason


def test_a_feature_that_is_gone_is_an_error():
    now = world(1)
    with pytest.raises(BadInput, match="x2"):
        told_apart(world(0), Labelled({"x1": now.features["x1"], "x3": now.features["x3"]}, now.prediction, now.truth))
