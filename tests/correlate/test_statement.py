"""What people read at night: each sentence has its numbers, nothing is said twice."""

from __future__ import annotations

import math

import pytest

from incident_world import MINUTE, T0, finding
from tocsin.correlate.statement import Symptom, sentence, statement, together, trouble
from tocsin.model.incident import Cause


def hot(core, value=0.97, start=T0, host="laptop", **rest):
    labels = {"host.name": host, "cpu": core}
    found = finding(
        "host-cpu-saturated",
        "system.cpu.utilization",
        labels,
        value=value,
        expected=(-math.inf, 0.9),
        start=start,
        unit="1",
        **rest,
    )
    return Symptom(found, (host,), "cpu saturated")


def test_findings_of_one_kind_are_one_sentence_that_names_what_differs():
    assert together([hot("0"), hot("1", 0.99, T0 + MINUTE)]) == (
        "cpu saturated on laptop, on 2 series since 12:26:40 UTC: cpu=0 at 97 %, limit 90 %; cpu=1 at 99 %, limit 90 %"
    )


def test_findings_on_several_hosts_name_the_hosts():
    said = together([hot(str(n), host=f"host-{n}") for n in range(5)])
    assert said == (
        "cpu saturated on 5 series since 12:26:40 UTC: host-0 at 97 %, limit 90 %; host-1 at 97 %, limit 90 %; "
        "host-2 at 97 %, limit 90 %; and 2 more"
    )


def test_nothing_is_said_twice():
    symptoms = [hot("0"), hot("1")]
    cause = Cause(
        "resource", "laptop", trouble("cpu saturated", "up"), 0.7, (sentence(symptoms[0]), "it was out of line first")
    )
    text = statement(symptoms, [cause])
    assert text.endswith("Most likely cause (score 0.70): resource on laptop, cpu saturated: it was out of line first.")
    assert text.count("cpu=0") == text.count("12:26:40") == 1
    assert "too high" not in text


def test_what_is_not_told_is_counted():
    symptoms = [Symptom(finding(f"m{n}", labels={"service.name": "bot"}), ("bot",), f"signal {n}") for n in range(6)]
    assert ". 1 further finding. No change" in statement(symptoms, [])
    assert ". 4 further findings. No change" in statement(symptoms, [], more=3)


@pytest.mark.parametrize(
    ("value", "expected", "said"),
    [
        (3100.0, (900.0, 1100.0), "tokens on bot 3.1x above expected since 12:26:40 UTC (now 3,100 tokens, expected 900 to 1,100 tokens)"),
        (1020.0, (900.0, 1000.0), "tokens on bot 7% above expected since 12:26:40 UTC (now 1,020 tokens, expected 900 to 1,000 tokens)"),
        (5.0, (-math.inf, 4.0), "tokens on bot at 5 tokens, limit 4 tokens since 12:26:40 UTC"),
        (1.0, (-1.0, 1.5), "tokens on bot 4.0x above expected since 12:26:40 UTC (now 1 token, expected 0 to 1.5 tokens)"),
    ],
)  # fmt: skip
def test_one_finding_is_a_sentence(value, expected, said):
    found = finding(value=value, expected=expected, labels={"service.name": "bot"})
    assert sentence(Symptom(found, ("bot",), "tokens")) == said


def test_what_rose_and_then_fell_below_is_told_by_its_rise():
    rose = finding(
        value=100.0, expected=(900.0, 1100.0), labels={"service.name": "bot"}, evidence={"worst.value": 3100.0}
    )
    assert sentence(Symptom(rose, ("bot",), "tokens")).startswith("tokens on bot 3.1x above expected")


def test_a_rise_is_told_from_where_it_rose_in_a_band_of_a_log_scale():
    evidence = {"worst.value": 46.2, "centre": 6.7, "times_expected": 1.2}
    rose = finding(value=8.1, expected=(-7.0, 1330.0), labels={"service.name": "bot"}, evidence=evidence)
    assert sentence(Symptom(rose, ("bot",), "tokens")).startswith("tokens on bot 6.9x above expected")


def test_what_is_back_in_line_is_told_by_its_worst():
    worst = {"worst.value": 3100.0, "times_expected": 1.0}
    found = finding(value=1000.0, expected=(900.0, 1100.0), labels={"service.name": "bot"}, evidence=worst)
    assert sentence(Symptom(found, ("bot",), "tokens")) == (
        "tokens on bot 3.1x above expected since 12:26:40 UTC (now 1,000 tokens, at worst 3,100 tokens, expected 900 to 1,100 tokens)"
    )
