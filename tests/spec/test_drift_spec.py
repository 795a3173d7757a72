"""Drift policies: what is understood, and faults at their place."""

from __future__ import annotations

import pytest

from tocsin.spec.drift import DEFAULT_DRIFT, policy_of
from tocsin.spec.engine import EngineSpec
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

DAY = 86_400 * 10**9
GOOD = """
drift:
  - model: churn
    reference: first 10d
    chunk: 1d
    threshold: 0.2
    for: 3d
    min_n: 500
    actions: [{type: webhook, url: "https://x/y", secret: "${S}"}, {type: notify, to: [ds]}]
  - {model: "fraud-*", reference: version 7}
destinations: [{name: ds, type: console}]
"""


def test_a_policy_is_understood_and_the_engine_hears_no_secret():
    config = parse_config(GOOD, "t.yaml", {"S": "s3cret"}).config
    churn, fraud = config.drift
    assert (churn.reference.span_ns, churn.chunk, churn.for_, churn.chunks, churn.min_n) == (
        10 * DAY, DAY, 3 * DAY, 3, 500,
    )  # fmt: skip
    assert (fraud.reference.version, fraud.chunks) == ("7", 1)
    control = config.engine_spec().control()
    assert b"s3cret" not in control.body
    assert [each.actions for each in EngineSpec.of(control).drift] == [[], []]
    assert EngineSpec.of(control).drift[0].reference == churn.reference
    names = [each.name for each in config.outgoing()]
    assert names[0] == "ds"
    assert names[1].startswith("retrain-")


def test_the_first_policy_that_fits_holds_and_the_default_without_any():
    config = parse_config(GOOD, "t.yaml", {"S": "s"}).config
    assert policy_of("churn", config.drift).model == "churn"
    assert policy_of("fraud-eu", config.drift).model == "fraud-*"
    assert policy_of("other", config.drift) is DEFAULT_DRIFT
    assert (DEFAULT_DRIFT.chunks, DEFAULT_DRIFT.actions) == (3, [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "reference: foo",
            "t.yaml:1:31: 'foo' is no reference; write `first 10d`, `first 5000 rows` or `version NAME`",
        ),
        ("reference: train.csv", "t.yaml:1:31: a file is named as such; write `{file: train.csv}`"),
        ("reference: {file: train.txt}", "t.yaml:1:31: 'train.txt' is no file of records"),
        ("reference: {path: train.csv}", "t.yaml:1:31: a reference that is no text names a file"),
        ("reference: first 1d, segments: [a, b, c, d]", "t.yaml:1:51: "),
        ("reference: first 0 rows", "t.yaml:1:31: a reference needs rows"),
        ("reference: 5", "t.yaml:1:31: a reference is text"),
        ("reference: first 1d, chunk: 1s", "t.yaml:1:48: a chunk lasts from 1m to 31d"),
        ("reference: first 1d, for: 9999d", "t.yaml:1:46: `for` lasts from 0s to 366d"),
        ("reference: first 1d, fro: 1d", "t.yaml:1:41: unknown key `fro`; did you mean `for`?"),
        ("chunk: 1d", "t.yaml:1:9: the key `reference` is missing here"),
        (
            "reference: first 1d, actions: [{type: notify, to: [zz]}]",
            "t.yaml:1:71: no destination is called `zz`; there are none yet",
        ),
    ],
)
def test_faults_are_told_at_their_place(given, message):
    with pytest.raises(BadSpec) as caught:
        parse_config(f"drift: [{{model: a, {given}}}]", "t.yaml", {})
    assert message in str(caught.value)
