"""What may be said of health, groups and experiments in a configuration, and how what may not is refused."""

from __future__ import annotations

import pytest

from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

PLACES = """
destinations:
  - {name: pd, type: pagerduty, routing_key: k}
  - {name: mail, type: email, host: smtp, from: a@example.org, to: [b@example.org]}
  - {name: hook, type: webhook, url: "https://example.org"}
  - {name: chat, type: slack, url: "https://example.org"}
"""


def config_of(text):
    return parse_config(PLACES + text, "t.yaml", {}).config


def faults(text):
    with pytest.raises(BadSpec) as bad:
        config_of(text)
    return " ".join(problem.message for problem in bad.value.problems)


def test_the_digest_goes_to_who_reads_unless_somebody_is_named():
    assert config_of("").digest_to() == ["mail", "chat"]
    assert config_of("health: {digest: []}").digest_to() == []
    assert config_of("health: {digest: hook}").digest_to() == ["hook"]


def test_the_hour():
    assert config_of("health: {at: '7:05', time_zone: Asia/Tokyo}").health.after_midnight_s == 7 * 3600 + 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("health: {digest: [pd]}", "would make an alert of a digest"),
        ("health: {digest: [male]}", "did you mean `mail`"),
        ("health: {at: '25:00'}", "is no time of day"),
        ("health: {time_zone: Europe/Berln}", "did you mean `Europe/Berlin`"),
        ("health: {terms: [{name: a, of: b, signal: c, good: 1, bad: 1}]}", "must be two different numbers"),
        ("health: {terms: [{name: a, of: b, signal: c, good: .inf, bad: 1}]}", "must be two different numbers"),
        (
            "health: {terms: [{name: a, of: b, signal: c, good: 2, bad: 1}, {name: a, of: b, signal: d, good: 2, bad: 1}]}",
            "`b` already has a term `a`",
        ),
        ("fairness: [{model: m, groups: [g], least_change: 1}]", "less than 1"),
        ("ab: [{model: m, metric: accuracy, arms: [a, b], ratio: [0, 1]}]", "whole numbers from 1 to 1000"),
        ("ab: [{model: m, metric: accuracy, ratio: [1, 1]}]", "`ratio` needs `arms`"),
        ("ab: [{model: m, metric: accuracy, arms: [a, b], ratio: [1, 1, 1]}]", "one part for each of the arms"),
        ("ab: [{model: m, metric: acuracy}]", "did you mean `accuracy`"),
        ("ab: [{model: m, metric: accuracy, bounds: [5, 1]}]", "the least and the greatest value"),
        ("ab: [{model: m, metrik: accuracy}]", "did you mean `metric`"),
    ],
)
def test_what_may_not_be_said(text, words):
    assert words in faults(text)
