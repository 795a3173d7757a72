"""What a finding about a model's drift says: how far, how sure, of what, for how long, and what it is likely to cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tocsin.assess.distances import psi_band
from tocsin.assess.drift import FeatureDrift
from tocsin.engine.model_performance import DEVIATES, Looked
from tocsin.engine.model_reference import LEVEL, ModelReference
from tocsin.model.finding import Evidence, Finding, Phase, finding_id
from tocsin.model.series import Series
from tocsin.model.text import one_line
from tocsin.spec.drift import DriftSpec

MONITOR: Final = "model-drift"
CALM: Final = "no longer"
_TOP: Final = 5
_NAME_CHARS: Final = 60
_TEXT_CHARS: Final = 200
_SECOND: Final = 1_000_000_000
_LEAST_LOG10: Final = -300.0


class Told(NamedTuple):
    """Value, log10 of its p-value, rows, and the evidence, as a finding has them."""

    value: float
    log10_p: float
    n: int
    evidence: Evidence

    def with_truth(self, realised: Looked) -> Told:
        """The same, and what late truth says of it."""
        return self._replace(evidence={**self.evidence, **_truth(self.evidence, realised)})

    def with_reason(self, reason: str) -> Told:
        """The same, over for a reason that is not in the data."""
        return self._replace(evidence={**self.evidence, "closed": one_line(reason, _TEXT_CHARS)})

    def snapshot(self) -> list[Any]:
        """All of it, as a tree."""
        return [self.value, self.log10_p, self.n, dict(self.evidence)]


def told(
    rows: Sequence[FeatureDrift], streaks: Mapping[str, tuple[int, int]], reference: ModelReference, n: int,
    policy: DriftSpec, estimated: Looked, moved: Evidence,
) -> Told:  # fmt: skip
    """What a chunk of `n` rows says; features that have been adrift longest come first."""
    ordered = sorted(rows, key=lambda row: (-streaks.get(row.name, (0, 0))[0], -(row.psi or 0.0), row.name))
    lead = ordered[0]
    psi = lead.psi or 0.0
    adrift = bool(streaks)
    ratio = max(psi / policy.threshold if adrift else 0.0, estimated.ratio)
    evidence: dict[str, float | str] = {
        "detector": "drift",
        "psi": psi,
        "band": psi_band(psi),
        "threshold": policy.threshold,
        "p_value": lead.p_value,
        "chunk_s": policy.chunk / _SECOND,
        "chunks_in_a_row": float(max((count for count, _ in streaks.values()), default=0)),
        "chunks_needed": float(policy.chunks),
        "n": float(n),
        "reference_n": float(reference.sample.seen),
        "reference": reference.span,
        "severity_ratio": ratio,
        "deviation": _deviation(lead, policy, estimated, streaks),
        **_features(ordered),
        **moved,
        **estimated.numbers,
    }
    if estimated.reason:
        evidence["early_warning"] = one_line(estimated.reason, _TEXT_CHARS)
    log10_p = -lead.log10_e if adrift else _log10_tail(DEVIATES * estimated.ratio)
    return Told(psi, max(min(log10_p, 0.0), _LEAST_LOG10), n, evidence)


def told_by_truth(n: int, policy: DriftSpec, moved: Evidence) -> Told:
    """What a chunk of too few predictions to compare says where its truth shows a fall."""
    evidence: dict[str, float | str] = {
        "detector": "drift",
        "threshold": policy.threshold,
        "chunk_s": policy.chunk / _SECOND,
        "n": float(n),
        "severity_ratio": 0.0,
        **moved,
    }
    return Told(0.0, 0.0, n, evidence)


def _features(ordered: Sequence[FeatureDrift]) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for place, row in enumerate((row for row in ordered[:_TOP] if row.psi is not None), 1):
        found[f"feature.{place}"] = one_line(row.name, _NAME_CHARS)
        found[f"feature.{place}.reason"] = one_line(row.reason, _TEXT_CHARS)
        shown = {"psi": row.psi, "kl": row.kl, "js": row.js, "ks": row.ks, "p_value": row.p_value}
        found |= {f"feature.{place}.{name}": value for name, value in shown.items() if value is not None}
    return found


def _deviation(lead: FeatureDrift, policy: DriftSpec, estimated: Looked, streaks: Mapping[str, tuple[int, int]]) -> str:
    parts = []
    if streaks:
        name, lasted = one_line(lead.name, _NAME_CHARS), _span(streaks[lead.name][0] * policy.chunk)
        parts.append(f"in {name} (PSI {lead.psi or 0.0:.2g}, limit {policy.threshold:g}, for {lasted})")
    if estimated.reason:
        parts.append(f"with {one_line(estimated.reason, 80)}")
    return ", ".join(parts) or CALM


def _span(length_ns: int) -> str:
    """A length of time in its largest unit.

    >>> _span(3 * 86_400 * _SECOND), _span(5400 * _SECOND)
    ('3 d', '1.5 h')
    """
    seconds = length_ns / _SECOND
    unit, name = (86_400, "d") if seconds >= 86_400 else (3600, "h") if seconds >= 3600 else (60, "min")
    return f"{seconds / unit:.3g} {name}"


def _truth(before: Evidence, realised: Looked) -> dict[str, float | str]:
    """What late truth adds: the measures, and whether a warning came true."""
    if not realised.numbers and not realised.reason:
        return {}
    found = dict(realised.numbers)
    found["truth"] = one_line(realised.reason, _TEXT_CHARS) or "no fall shown by the truth that came last"
    if realised.reason:
        found["confirmed"] = 1.0
        found["severity_ratio"] = max(realised.ratio, float(before.get("severity_ratio", 0.0)))
        if before.get("deviation") in (None, "", CALM):
            found["deviation"] = f"with {one_line(realised.reason, 110)}"
    return found


def _log10_tail(deviates: float) -> float:
    tail = 0.5 * math.erfc(deviates / math.sqrt(2.0))
    return math.log10(tail) if tail > 0 else _LEAST_LOG10


def finding_of(series: Series, phase: Phase, start: int, at: int, said: Told, policy: DriftSpec) -> Finding:
    """The finding of an episode that began at `start`, as known at `at` (event times, ns)."""
    return Finding(
        id=finding_id(series.tenant, MONITOR, series.id, start),
        phase=phase,
        tenant=series.tenant,
        monitor=MONITOR,
        series=series,
        start=start,
        end=at,
        time=at,
        value=said.value,
        expected=(math.nan, policy.threshold),
        log10_p=said.log10_p,
        n_eff=float(said.n),
        level=math.log10(LEVEL),
        direction="shape",
        evidence=said.evidence,
    )
