"""A/B from a file: arms, methods, the split, what is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.app.comparison import Asked, compare, reason
from tocsin.model.errors import BadInput


@pytest.fixture
def experiment(tmp_path):
    def made(draw, n=20_000, share=0.5, seed=1):
        rng = np.random.default_rng(seed)
        path = tmp_path / "records.jsonl"
        with path.open("w") as out:
            for treated in (rng.random(n) < share).tolist():
                row = {"version": "v2" if treated else "v1", "feedback": {"metric": draw(rng, treated)}}
                out.write(json.dumps(row) + "\n")
        return path

    return made


def test_a_better_conversion_is_found_exactly(experiment):
    path = experiment(lambda rng, treated: bool(rng.random() < (0.56 if treated else 0.5)))
    found = compare(Asked(path, "version", "metric"))
    (verdict,) = found.verdicts
    assert (found.design.method, found.design.arms, verdict.outcome) == ("exact", ("v1", "v2"), "better")
    assert not found.negative
    assert verdict.lower < 0.06 < verdict.upper
    assert reason(verdict, found.design).startswith("v2 is better than v1: +0.0")
    assert "v1 is taken as the control; name another with --control" in found.notes
    shown = found.to_json()
    assert len(shown["looks"]) == 100
    assert shown["looks"][-1]["rows"] == 20_000
    assert shown["treatments"][0]["decided_at"] == verdict.decided_at < 20_000
    backwards = compare(Asked(path, "version", "metric", control="v2"))
    assert (backwards.verdicts[0].outcome, backwards.negative) == ("worse", True)


def test_a_metric_without_bounds_and_lower_is_better(experiment):
    path = experiment(lambda rng, treated: float(rng.lognormal(0, 0.5) * (1.2 if treated else 1.0)))
    found = compare(Asked(path, "version", "metric", lower_is_better=True))
    assert (found.design.method, found.verdicts[0].outcome, found.negative) == ("clt", "worse", True)
    bounded = compare(Asked(path, "version", "metric", bounds=(0.0, 3.0)))
    assert bounded.design.method == "exact"
    assert any("outside the bounds" in note for note in bounded.notes)


def test_a_planned_split_is_right_and_another_is_wrong(experiment):
    path = experiment(lambda rng, _: int(rng.random() < 0.5), share=0.1)
    right = compare(Asked(path, "version", "metric", shares=(90, 10)))
    assert (right.design.shares, right.experiment.mismatched) == ((9, 1), False)
    wrong = compare(Asked(path, "version", "metric"))
    assert (wrong.verdicts[0].outcome, wrong.negative) == ("ratio_mismatch", True)
    assert "mend the split first" in reason(wrong.verdicts[0], wrong.design)


def test_rows_without_arm_or_metric_are_counted(experiment, tmp_path):
    path = tmp_path / "records.csv"
    path.write_text("version,ok\nv1,yes\nv2,no\n,yes\nv1,\nv2,\n")
    found = compare(Asked(path, "version", "ok", batch=2))
    assert found.notes[1:] == (
        "1 rows without an arm take no part", "1 rows of v1 have no ok", "1 rows of v2 have no ok",
    )  # fmt: skip
    assert [rows for rows, _ in found.looks] == [2, 4]
    assert reason(found.verdicts[0], found.design).startswith("no difference is shown: -1 (-1 to +1)")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"arm": "verson"}, "no column `verson`; did you mean `version`?"),
        ({"metric": "metrc"}, "no column `metrc`; did you mean `metric`?"),
        ({"control": "v3"}, "no row has the arm 'v3'; there are v1, v2"),
        ({"shares": (1, 1, 1)}, "--ratio has 3 parts for 2 arms: v1, v2"),
        ({"arm": "metric"}, "has 200 different values"),
        ({"metric": "version"}, "row 1: 'version': 'v"),
    ],
)
def test_what_can_not_be_compared_is_refused_in_words(experiment, asked, said):
    path = experiment(lambda rng, _: float(rng.normal()), n=200)
    with pytest.raises(BadInput) as refused:
        compare(Asked(**{"file": path, "arm": "version", "metric": "metric", **asked}))
    assert said in str(refused.value)
