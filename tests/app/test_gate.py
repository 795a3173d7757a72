"""The gate: rules on records of every format, verdicts in words, faults at their place."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tocsin.app.gate.judge import Terms
from tocsin.app.gate.records import Records
from tocsin.app.gate.run import gate
from tocsin.assess.intervals import Measure
from tocsin.assess.performance import accuracy
from tocsin.model.errors import BadInput
from tocsin.spec.gate import GatePolicy
from tocsin.spec.problem import BadSpec


def candidate(rng, n, *, accuracy=0.9, shift=0.0, unfair=0.0, bad_region=None):
    """Records as they are exported: truth of most, tags, features, feedback."""
    rows = []
    for k in range(n):
        region, group = str(rng.choice(["eu", "us", "ap"])), str(rng.choice(["a", "b"]))
        truth = int(rng.random() < 0.5 - (unfair if group == "b" else 0.0))
        right = rng.random() < (0.5 if region == bad_region else accuracy)
        prediction = truth if right else 1 - truth
        rows.append(
            {
                "prediction_id": f"p{k}", "time": "2026-11-02T14:02:00Z", "model": "churn", "version": "2",
                "prediction": prediction, "score": 0.8 if prediction else 0.2,
                "features": {"age": float(rng.normal(40 + shift, 10)), "plan": str(rng.choice(["x", "y"]))},
                "tags": {"region": region, "group": group}, "truth": truth if rng.random() < 0.8 else None,
                "feedback": {"latency_s": float(rng.lognormal(-2, 0.5))},
            }
        )  # fmt: skip
    return rows


def write(path, rows):
    """A file as `tocsin export records` writes it."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    flat = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
    if path.suffix == ".parquet":
        texts = [{k: v if k == "score" or v is None else str(v) for k, v in row.items()} for row in flat]
        pq.write_table(pa.Table.from_pylist(texts), path)
        return path
    names = list(flat[0])
    quoted = [['""' if row[n] is None else '"' + str(row[n]).replace('"', '""') + '"' for n in names] for row in flat]
    path.write_text("\n".join([",".join(names), *(",".join(cells) for cells in quoted)]) + "\n")
    return path


@pytest.fixture
def run(tmp_path):
    def judged(rules, rows, *, name="candidate.jsonl", head="", reference=None):
        if reference is not None:
            write(tmp_path / "reference.jsonl", reference)
            head += "reference: reference.jsonl\n"
        policy = tmp_path / "policy.yaml"
        policy.write_text(f"{head}rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules))
        return gate(policy, write(tmp_path / name, rows), {})

    return judged


def verdicts(result):
    return {(each.rule, each.segment): (each.verdict, each.passed) for each in result.judged}


@pytest.mark.parametrize("name", ["candidate.jsonl", "candidate.csv", "candidate.parquet"])
def test_a_good_candidate_passes_in_every_format(run, name):
    rng = np.random.default_rng(1)
    rules = [
        "name: acc, type: performance, measure: accuracy, at_least: 0.8, by: region",
        "name: recall, type: performance, measure: recall, at_least: 80%",
        "name: p95, type: metric, column: latency_s, aggregate: p95, at_most: 500ms, unit: s",
        "name: drift, type: drift, at_most: 0.1",
        "name: parity, type: fairness, criterion: demographic_parity, by: group, at_most: 0.15",
        "name: worst, type: worst_slice, tags: [region, plan]",
    ]
    rows = candidate(rng, 3000)
    result = run(rules, rows, name=name, reference=candidate(rng, 3000))
    assert result.passed
    assert set(verdicts(result).values()) == {("pass", True)}
    assert {segment for rule, segment in verdicts(result) if rule == "acc"} == {
        "",
        "region=eu",
        "region=us",
        "region=ap",
    }
    known = sum(row["truth"] is not None for row in rows)
    accuracy = sum(row["truth"] == row["prediction"] for row in rows) / known
    found = result.judged[0]
    assert (found.measure.value, found.measure.n) == (pytest.approx(accuracy), known)
    assert found.reason.startswith(f"accuracy is {accuracy:.4g} (")


def test_each_fault_of_a_candidate_fails_its_rule(run):
    rng = np.random.default_rng(2)
    rules = [
        "name: acc, type: performance, measure: accuracy, at_least: 0.8",
        "name: segments, type: performance, measure: accuracy, at_least: 0.6, by: region",
        "name: p95, type: metric, column: latency_s, aggregate: p95, at_most: 200ms, unit: s",
        "name: drift, type: drift",
        "name: features, type: drift, columns: plan",
        "name: parity, type: fairness, criterion: demographic_parity, by: group, at_most: 0.1",
        "name: worst, type: worst_slice, tags: [region, group], at_most: 0.1",
    ]
    reference = candidate(rng, 3000)
    result = run(rules, candidate(rng, 3000, shift=15, unfair=0.3, bad_region="ap"), reference=reference)
    found = verdicts(result)
    assert not result.passed
    assert found["acc", ""] == ("fail", False)
    assert (found["segments", "region=eu"], found["segments", "region=ap"]) == (("pass", True), ("fail", False))
    assert found["p95", ""] == ("fail", False)
    assert found["drift", ""] == ("fail", False)
    assert found["features", ""] == ("pass", True)
    assert found["parity", ""] == ("fail", False)
    assert found["worst", "region=ap"] == ("fail", False)
    drift = next(each for each in result.judged if each.rule == "drift")
    assert "features.age: " in drift.reason
    assert {each["name"] for each in drift.details} == {"features.age", "features.plan", "prediction", "score"}


def test_too_few_rows_are_a_verdict_that_the_policy_decides_on(run):
    rng = np.random.default_rng(3)
    rule = "type: performance, measure: accuracy, at_least: 0.5"
    few = candidate(rng, 40)
    assert run([rule], few).judged[0].verdict == "not_enough"
    assert not run([rule], few).passed
    assert run([rule], few, head="not_enough: pass\n").passed
    assert run([f"{rule}, not_enough: pass"], few).passed
    assert run([f"{rule}, min_n: 20"], few).judged[0].verdict == "pass"
    drift = run(["type: drift"], few, reference=candidate(rng, 1000)).judged[0]
    assert (drift.verdict, drift.passed) == ("not_enough", False)
    assert "40 rows, and 1,000 of the reference; 100 are needed" in drift.reason


def test_a_group_of_one_is_named_and_not_judged(run):
    rng = np.random.default_rng(4)
    rows = candidate(rng, 3000)
    rows[0]["tags"]["group"] = "lonely"
    result = run(["name: f, type: fairness, criterion: demographic_parity, by: group, at_most: 0.15"], rows)
    assert verdicts(result) == {("f", ""): ("pass", True), ("f", "group=lonely"): ("not_enough", False)}
    assert "group lonely has 1 row, and 100 are needed" in result.judged[1].reason
    everything = result.to_json()["rules"][0]["details"]
    assert {each["group"] for each in everything} == {"a", "b", "lonely"}


def test_an_unclear_interval_is_a_verdict_that_the_policy_decides_on():
    measure = Measure(0.82, 0.78, 0.86, 400)
    for unclear, passed in (("fail", False), ("pass", True), ("estimate", True)):
        terms = Terms("r", 0.05, 100, "fail", unclear)
        judged = terms.bounded("", "accuracy", measure, (0.8, np.inf))
        assert (judged.verdict, judged.passed) == ("unclear", passed)
        assert "about 1,600 would" in judged.reason
    below = Terms("r", 0.05, 100, "fail", "estimate").bounded("", "accuracy", measure, (0.85, np.inf))
    assert (below.verdict, below.passed) == ("unclear", False)


def test_a_candidate_at_the_limit_passes_only_within_the_level():
    """A model exactly as good as the floor must not pass more often than the level says."""
    rng = np.random.default_rng(5)
    terms = Terms.of(GatePolicy.model_validate({"rules": [_RULE]}).rules[0], GatePolicy(rules=[_RULE]), "r")
    passed = 0
    for _ in range(400):
        right = rng.random(500) < 0.8
        passed += terms.bounded("", "accuracy", accuracy(np.ones(500, bool), right), (0.8, np.inf)).passed
    assert passed <= 400 * 0.025 + 3 * (400 * 0.025) ** 0.5


_RULE = {"type": "performance", "measure": "accuracy", "at_least": 0.8}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{type: performance, measure: acuracy, at_least: 1}]", ":1:38: `acuracy` is not known here; did you mean `accuracy`?"),
        ("rules: [{type: performence, measure: auc, at_least: 1}]", ":1:16: `performence` is not known here; did you mean `performance`?"),
        ("rules: [{type: metric, colum: x, at_most: 1}]", "`colum`; did you mean `column`?"),
        ("rules: [{type: metric, column: latncy_s, at_most: 1}]", ":1:32: candidate.jsonl has no column `latncy_s`; did you mean `latency_s`?"),
        ("rules: [{type: performance, measure: auc, at_least: 1, by: [region, grup]}]", "has no column `grup`; did you mean `group`?"),
        ("rules: [{type: metric, column: x}]", "a rule needs either `at_least` or `at_most`"),
        ("rules: [{type: metric, column: x, at_most: 1, at_least: 0}]", "a rule needs either"),
        ("rules: [{type: drift}]", "drift needs `reference:`"),
        ("rules: []", ":1:8: without rules everything would pass"),
        ("rules: [{type: fairness, criterion: disparate_impact, by: group, at_most: 1}]", "`at_least`: it is a ratio"),
        ("rules: [{type: fairness, criterion: equalised_odds, by: group, at_least: 1}]", "`at_most`: it is a difference"),
        ("where: {model: other}\nrules: [{type: metric, column: score, at_most: 1}]", "has these values"),
        ("where: {modle: other}\nrules: [{type: metric, column: score, at_most: 1}]", "did you mean `model`?"),
        ("columns: {truth: turth}\nrules: [{type: performance, measure: accuracy, at_least: 1}]", ":2:9: candidate.jsonl has no column `turth`"),
        ("rules: [{name: a, type: metric, column: score, at_most: 1}, {name: a, type: metric, column: score, at_most: 1}]", "already taken by rule 1"),
        ("reference: none.jsonl\nrules: [{type: drift}]", "none.jsonl: can't be read: no such file"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_refused_at_its_place(tmp_path, text, said):
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    records = write(tmp_path / "candidate.jsonl", candidate(np.random.default_rng(6), 20))
    with pytest.raises(BadInput) as refused:
        gate(policy, records, {})
    assert said in str(refused.value)
    assert "policy.yaml:" in str(refused.value) or not isinstance(refused.value, BadSpec)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("r.jsonl", '{"a": 1}\n{"a": \n', "r.jsonl:2:6: not JSON"),
        ("r.jsonl", "[1]\n", "r.jsonl:1:1: a record is a JSON object"),
        ("r.jsonl", "\n", "there are no rows"),
        ("r.csv", "a,tags\n1,{oops\n", "row 1: 'tags' begins like a JSON object"),
        ("r.xlsx", "", "neither .csv nor .parquet"),
        ("r.jsonl", '{"score": "high"}\n', "row 1: 'score': 'high' is not a number"),
    ],
)
def test_bad_records_are_refused_at_their_place(tmp_path, name, body, said):
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{type: metric, column: score, at_most: 1}]")
    (tmp_path / name).write_text(body)
    with pytest.raises(BadInput) as refused:
        gate(policy, tmp_path / name, {})
    assert said in str(refused.value)


def test_which_class_is_positive_is_asked_where_it_is_open(run):
    rows = [{"prediction": "cat" if k % 3 else "dog", "truth": "cat"} for k in range(300)]
    with pytest.raises(BadInput, match="which of cat, dog is the positive class is open"):
        run(["type: performance, measure: recall, at_least: 0.5"], rows)
    result = run(["type: performance, measure: recall, at_least: 0.5"], rows, head="columns: {positive: cat}\n")
    assert result.judged[0].measure.value == pytest.approx(2 / 3)


def test_numbers_and_other_measures(run):
    rng = np.random.default_rng(7)
    rows = [{"prediction": float(t + rng.normal()), "truth": float(t), "cost": 0.5} for t in rng.normal(10, 2, 500)]
    rules = [
        "name: mae, type: performance, measure: mae, at_most: 1",
        "name: rmse, type: performance, measure: rmse, at_most: 0.5",
        "name: max, type: metric, column: cost, aggregate: max, at_most: 0.5",
        "name: slices, type: worst_slice, tags: cost, column: truth",
    ]
    assert {rule: v for (rule, _), v in verdicts(run(rules, rows)).items()} == {
        "mae": ("pass", True), "rmse": ("fail", False), "max": ("pass", True), "slices": ("pass", True)
    }  # fmt: skip


def test_columns_are_found_by_their_bare_names(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"tags": {"x": 1}, "features": {"x": 2, "y": 3}}\n{"tags": null, "feedback": true}\n')
    records = Records.read(path)
    assert (records.named("x"), records.named("y"), records.named("features.x")) == (
        "tags.x",
        "features.y",
        "features.x",
    )
    assert records.numbers("x").tolist() == [1.0, pytest.approx(np.nan, nan_ok=True)]
    assert records.columns["feedback"].to_pylist() == [None, True]
    with pytest.raises(KeyError, match="no column `z`"):
        records.named("z")
