"""Severity of an incident: expected loss = impact x confidence, with the sum written out, and its place in the 2x2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tocsin.incident.impact import WEIGHT, impact_of
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, Severity
from tocsin.model.toll import Toll
from tocsin.model.transition import Grade, Grader
from tocsin.spec.loss import LossSpec, SeveritySpec

AT_LEVEL: Final = 0.4
"""Confidence in a finding that just reached its calibrated level."""
AGREEMENT: Final = 0.8
"""What each further signal that agrees leaves of the doubt."""
HIGH_CONFIDENCE: Final = 0.6
LOSS: Final = ((2.4, Severity.CRITICAL), (1.5, Severity.ERROR), (0.6, Severity.WARNING))
STATED: Final = ("users", "revenue", "compliance", "money")
URGENCY: Final[Mapping[tuple[str, str], str]] = {
    ("high", "high"): "page",
    ("high", "low"): "chat",
    ("low", "high"): "ticket",
    ("low", "low"): "review",
    ("unknown", "high"): "page",
    ("unknown", "low"): "chat",
}
"""Where an incident of this impact and confidence belongs; what is not known is not taken to be low."""


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


def grader(spec: LossSpec | None = None) -> Grader:
    """The function that grades incidents by what is stated of them under a configuration."""
    given = spec or LossSpec()

    def grade(findings: Sequence[Finding], impact: Mapping[str, str]) -> Grade:
        return _grade(findings, impact, given)

    return grade


def weighed(incident: Incident, spec: LossSpec, toll: Toll | None, missing: str = "") -> Incident:
    """The incident graded again by what was counted of it; `missing` says why nothing was."""
    stated = {kind: str(incident.impact[kind]) for kind in STATED if incident.impact.get(kind) in WEIGHT}
    if "compliance_tags" in incident.impact:
        stated.pop("compliance", None)  # by tags: they are looked up again
    grade = _grade(incident.findings, stated, spec, toll, missing)
    impact = {**grade.impact, **{key: incident.impact[key] for key in ("findings",) if key in incident.impact}}
    return replace(incident, severity=grade.severity, severity_arithmetic=grade.arithmetic, impact=impact)


def _confidence(finding: Finding, limits: SeveritySpec) -> float:
    found = ratio(finding)
    if math.isnan(found):
        return 1.0
    return min(1.0, max(AT_LEVEL, AT_LEVEL + (1 - AT_LEVEL) * (found - 1) / (limits.critical - 1)))


def _grade(
    findings: Sequence[Finding], stated: Mapping[str, str], spec: LossSpec, toll: Toll | None = None, missing: str = ""
) -> Grade:
    limits = spec.severity
    strongest = max(findings, key=lambda each: (_confidence(each, limits), each.id), default=None)
    if strongest is None:
        return Grade(Severity.INFO, "no findings")
    impact = impact_of(findings, stated, spec, toll, missing)
    single = _confidence(strongest, limits)
    signals = len({finding.series.signal.name for finding in findings})
    confidence = 1 - (1 - single) * AGREEMENT ** (signals - 1)
    loss = impact.weight * confidence
    severity = next((severity for least, severity in LOSS if loss >= least), Severity.INFO)
    found = ratio(strongest)
    why = "a stated limit is broken" if math.isnan(found) else f"{strongest.monitor} at {found:.1f}x its level"
    agree = f", {signals} signals agree" if signals > 1 else ""
    text = (
        f"impact {impact.weight:.3g} ({impact.words}) x confidence {confidence:.2f} ({why}{agree})"
        f" = {loss:.2f} -> {severity.name.lower()}"
    )
    sure = "high" if confidence >= HIGH_CONFIDENCE else "low"
    numbers: dict[str, float | str] = {
        "weight": round(impact.weight, 4),
        "confidence": round(confidence, 4),
        "expected_loss": round(loss, 4),
        "quadrant": f"{impact.level} impact, {sure} confidence",
        "urgency": URGENCY[impact.level, sure],
    }
    tagged = {"compliance": "high"} if "compliance_tags" in impact.figures else {}
    return Grade(severity, text, {**stated, **tagged, **impact.figures, **numbers})
