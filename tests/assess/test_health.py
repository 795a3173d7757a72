"""The health score: sums by hand, missing terms, the digest."""

from __future__ import annotations

import math

import pytest

from tocsin.assess.health import Term, digest, health

TERMS = (
    Term("p95 latency", "latency", good=0.5, bad=2.0, unit="s"),
    Term("error rate", "errors", good=0.01, bad=0.06),
    Term("accuracy", "quality", good=0.9, bad=0.8),
    Term("conversion", "business", good=0.05, bad=0.03, points=20),
)
GOOD = {"p95 latency": 0.3, "error rate": 0.0, "accuracy": 0.93, "conversion": 0.06}


def test_a_good_day_and_a_day_by_hand():
    assert (health(TERMS, GOOD).score, health(TERMS, GOOD).word) == (100.0, "good")
    day = health(TERMS, {"p95 latency": 1.0, "error rate": 0.035, "accuracy": 0.9, "conversion": 0.04})
    assert day.score == pytest.approx(100 - 10 - 20 - 0 - 10)
    assert [cost.term.name for cost in day.costs] == ["error rate", "conversion", "p95 latency", "accuracy"]
    assert day.word == "poor"
    assert sum(each["cost"] for each in day.to_json()["terms"]) == pytest.approx(100 - day.score)


def test_the_score_never_leaves_its_range_and_never_rises_when_a_term_gets_worse():
    awful = health(TERMS, {"p95 latency": 1e9, "error rate": 1.0, "accuracy": 0.0, "conversion": -5.0})
    assert (awful.score, awful.word) == (0.0, "bad")
    scores = [health(TERMS, {**GOOD, "accuracy": value / 100}).score for value in range(100, 50, -1)]
    assert scores == sorted(scores, reverse=True)
    assert health(TERMS, {**GOOD, "p95 latency": math.inf}).score == 70.0


def test_what_was_not_measured_costs_nothing_and_is_named():
    day = health(TERMS, {"p95 latency": 1.0, "error rate": math.nan})
    assert (day.score, day.at_worst) == (90.0, 0.0)
    assert [cost.term.name for cost in day.costs if not cost.known] == ["accuracy", "conversion", "error rate"]
    few = health(TERMS[:2], {"p95 latency": 0.1})
    assert (few.score, few.at_worst) == (100.0, 60.0)
    assert "- not measured: error rate; the score would be 60 at worst" in digest("m", "d", few)


def test_nothing_measured_is_unknown_and_not_good():
    day = health(TERMS, {})
    assert math.isnan(day.score)
    assert (day.word, day.to_json()["score"]) == ("unknown", None)
    assert digest("m", "d", day).startswith("m on d: unknown, for nothing was measured (accuracy, conversion")
    assert "unknown" in digest("m", "d", health([], {}))


def test_the_digest_names_what_cost_most_and_what_changed():
    before = health(TERMS, {**GOOD, "conversion": 0.04, "error rate": 0.02})
    now = health(TERMS, {**GOOD, "p95 latency": 1.0, "error rate": 0.045, "accuracy": 0.85})
    assert digest("churn", "2026-11-21", now, before).splitlines() == [
        "churn on 2026-11-21: 42 of 100, poor (40 less than the day before)",
        "- error rate 0.045 cost 28 of 40 points (good up to 0.01); 20 more than the day before",
        "- accuracy 0.85 cost 20 of 40 points (good from 0.9); 20 more than the day before",
        "- p95 latency 1 s cost 10 of 30 points (good up to 0.5 s); 10 more than the day before",
        "- good again: conversion",
    ]
    assert "- 2 more terms cost 30 points together" in digest("churn", "d", now, most=1)
    assert "(as the day before)" in digest("churn", "d", now, now)
    assert digest("churn", "d", health(TERMS, GOOD)).endswith("- no term cost anything")
