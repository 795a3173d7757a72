"""References and sketches between two runs."""

import json

import numpy as np
import pytest

from tocsin.assess.drift import compare
from tocsin.assess.reference import FeatureReference
from tocsin.assess.stored import reference_from_json, reference_to_json, sketch_from_json, sketch_to_json
from tocsin.model.errors import BadInput

RNG = np.random.default_rng(0)
WORDS = ["reset", "password", "invoice", "refund", "parcel", "delivery", "courier", "account"]
COLUMNS = {
    "number": (RNG.normal(size=300), RNG.normal(1, 1, 100)),
    "counts": (RNG.poisson(2, 300), RNG.poisson(3, 100)),
    "category": (RNG.choice(["a", "b", "c"], 300), RNG.choice(["a", "b", "d"], 100)),
    "rare": (RNG.integers(0, 5_000, 3_000).astype(str), RNG.integers(0, 50, 100).astype(str)),
    "flag": (RNG.random(300) < 0.2, RNG.random(100) < 0.6),
    "text": tuple([" ".join(RNG.choice(words, 7)) for _ in range(n)] for words, n in ((WORDS, 300), (WORDS[:4], 100))),
    "vector": (RNG.normal(size=(300, 5)), RNG.normal(0.5, 1, (100, 5))),
    "nothing": ([None] * 300, ["a"] * 100),
    "one": ([7.0] * 300, [7.0, None] * 50),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_reference_and_a_sketch_come_back_as_they_were(name):
    then, now = COLUMNS[name]
    reference = FeatureReference.learn(name, then)
    sketch = reference.sketch(now)
    again = reference_from_json(json.loads(json.dumps(reference_to_json(reference), allow_nan=False)))
    same = sketch_from_json(json.loads(json.dumps(sketch_to_json(sketch), allow_nan=False)))
    assert again.fingerprint == reference.fingerprint
    assert compare(again, same) == compare(reference, sketch)
    assert compare(again, again.sketch(now)) == compare(reference, sketch)
    assert reference_to_json(again) == reference_to_json(reference)
    assert (same + sketch).rows == 2 * sketch.rows


def test_what_is_no_reference_is_refused():
    told = reference_to_json(FeatureReference.learn("x", [1.0, 2.0]))
    with pytest.raises(BadInput, match="format 9, and this build reads 1; learn it again"):
        reference_from_json({**told, "format": 9})
    with pytest.raises(BadInput, match="not the JSON of a reference"):
        reference_from_json({**told, "kind": "colour"})
    with pytest.raises(BadInput, match="not the JSON of a sketch"):
        sketch_from_json({"rows": 1})
