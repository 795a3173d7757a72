import math
from dataclasses import replace

import pytest

from incident_world import finding, latency
from tocsin.incident.severity import finding_severity, grader, ratio
from tocsin.model.incident import Severity

grade = grader()
LIMIT = replace(finding(), log10_p=math.nan, level=math.nan)


def at(times, found=None):
    """A finding whose score is so many times its calibrated level."""
    return replace(found or finding(), log10_p=-6.0 * times, level=-6.0)


@pytest.mark.parametrize(
    ("times", "severity"),
    [(1.0, Severity.INFO), (1.49, Severity.INFO), (1.5, Severity.WARNING), (2.5, Severity.CRITICAL)],
)
def test_finding_severity_is_its_ratio_to_the_level(times, severity):
    assert finding_severity(at(times)) is severity


def test_the_ratio_that_the_engine_found_counts():
    assert ratio(replace(at(1.0), evidence={"severity_ratio": 2.0})) == 2.0
    assert math.isnan(ratio(replace(LIMIT, evidence={"severity_ratio": 2.0})))


def test_a_broken_limit_is_certain():
    assert finding_severity(LIMIT) is Severity.CRITICAL
    found = grade([LIMIT], {"users": "high"})
    assert (found.severity, found.impact["confidence"]) == (Severity.CRITICAL, 1.0)
    assert "a stated limit is broken" in found.arithmetic


@pytest.mark.parametrize(
    ("times", "impact", "severity"),
    [
        (2.5, {"users": "high"}, Severity.CRITICAL),
        (1.5, {"users": "high"}, Severity.ERROR),
        (1.0, {"users": "high"}, Severity.WARNING),
        (2.5, {}, Severity.ERROR),
        (1.0, {}, Severity.WARNING),
        (2.5, {"money": "low"}, Severity.WARNING),
        (1.0, {"money": "low"}, Severity.INFO),
        (2.5, {"money": "low", "users": "high"}, Severity.CRITICAL),
    ],
)
def test_severity_is_impact_times_confidence(times, impact, severity):
    assert grade([at(times)], impact).severity is severity


def test_the_sum_is_written_out_and_true():
    found = grade([at(1.5), at(1.0, latency())], {"users": "high", "money": "low"})
    assert found.arithmetic == (
        "impact 3 (money low, users high) x confidence 0.68 (input-tokens at 1.5x its level, 2 signals agree) = 2.04 -> error"
    )
    assert found.impact["confidence"] == pytest.approx(1 - (1 - (0.4 + 0.6 * 0.5 / 1.5)) * 0.8, abs=1e-6)
    assert found.impact["expected_loss"] == pytest.approx(3 * found.impact["confidence"], abs=1e-3)
    assert found.impact["quadrant"] == "high impact, high confidence"


def test_the_order_of_findings_does_not_matter():
    rows = [at(1.2), at(1.2, latency()), at(1.0)]
    assert grade(rows, {}) == grade(rows[::-1], {})


def test_no_findings_is_no_crash():
    assert grade([], {}).severity is Severity.INFO
