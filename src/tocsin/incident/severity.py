"""Severity of an incident: expected loss = impact x confidence, with the sum written out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tocsin.model.finding import Finding
from tocsin.model.incident import Severity
from tocsin.model.transition import Grade, Grader
from tocsin.spec.config import SeveritySpec

WEIGHT = {"low": 1.0, "high": 3.0}
UNSTATED = 2.0
"""Weight of an incident whose monitors don't say whom it hurts."""
AT_LEVEL = 0.4
"""Confidence in a finding that just reached its calibrated level."""
AGREEMENT = 0.8
"""What each further signal that agrees leaves of the doubt."""
HIGH_CONFIDENCE = 0.6
LOSS = ((2.4, Severity.CRITICAL), (1.5, Severity.ERROR), (0.6, Severity.WARNING))


def ratio(finding: Finding) -> float:
    """Score over calibrated level, as the engine found it or from log10 p; NaN for a stated limit."""
    given = finding.evidence.get("severity_ratio")
    if isinstance(given, int | float) and math.isfinite(given) and math.isfinite(finding.log10_p):
        return float(given)
    known = math.isfinite(finding.log10_p) and math.isfinite(finding.level) and finding.level < 0
    return finding.log10_p / finding.level if known else math.nan


def finding_severity(finding: Finding, spec: SeveritySpec | None = None) -> Severity:
    """Severity of a single finding by its ratio; a broken limit is critical.

    References
    ----------
    warning at 1.5 times the level, critical at 2.5 times, unless the configuration says otherwise
    """
    limits = spec or SeveritySpec()
    found = ratio(finding)
    if math.isnan(found) or found >= limits.critical:
        return Severity.CRITICAL
    return Severity.WARNING if found >= limits.warning else Severity.INFO


def grader(spec: SeveritySpec | None = None) -> Grader:
    """The function that grades incidents under a configuration."""
    limits = spec or SeveritySpec()

    def grade(findings: Sequence[Finding], impact: Mapping[str, str]) -> Grade:
        return _grade(findings, impact, limits)

    return grade


def _confidence(finding: Finding, limits: SeveritySpec) -> float:
    found = ratio(finding)
    if math.isnan(found):
        return 1.0
    return min(1.0, max(AT_LEVEL, AT_LEVEL + (1 - AT_LEVEL) * (found - 1) / (limits.critical - 1)))


def _grade(findings: Sequence[Finding], impact: Mapping[str, str], limits: SeveritySpec) -> Grade:
    strongest = max(findings, key=lambda each: (_confidence(each, limits), each.id), default=None)
    if strongest is None:
        return Grade(Severity.INFO, "no findings")
    weight = max((WEIGHT[level] for level in impact.values()), default=UNSTATED)
    stated = ", ".join(f"{kind} {level}" for kind, level in sorted(impact.items())) or "not stated"
    single = _confidence(strongest, limits)
    signals = len({finding.series.signal.name for finding in findings})
    confidence = 1 - (1 - single) * AGREEMENT ** (signals - 1)
    loss = weight * confidence
    severity = next((severity for least, severity in LOSS if loss >= least), Severity.INFO)
    found = ratio(strongest)
    why = "a stated limit is broken" if math.isnan(found) else f"{strongest.monitor} at {found:.1f}x its level"
    agree = f", {signals} signals agree" if signals > 1 else ""
    text = f"impact {weight:g} ({stated}) x confidence {confidence:.2f} ({why}{agree}) = {loss:.2f} -> {severity.name.lower()}"
    high = "high" if weight > UNSTATED else "low"
    quadrant = f"{high} impact, {'high' if confidence >= HIGH_CONFIDENCE else 'low'} confidence"
    numbers: dict[str, float | str] = {
        "weight": weight,
        "confidence": round(confidence, 4),
        "expected_loss": round(loss, 4),
        "quadrant": quadrant,
    }
    return Grade(severity, text, {**impact, **numbers})
