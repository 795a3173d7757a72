"""What a finding about the data that a model is given says: what is broken, how many rows, one of them, since when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.assess.quality import Fault, Violation
from tocsin.engine.model_reference import LEVEL, ModelReference
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.series import Series, Signal
from tocsin.model.text import one_line

MONITOR: Final = "model-data-quality"
QUALITY: Final = Signal("tocsin.model.data_quality", "1")
CALM_NS: Final = 3600 * 1_000_000_000
"""What was broken is whole again when nothing is broken for so long."""
_TOP: Final = 5
_NAME_CHARS: Final = 60
_TEXT_CHARS: Final = 200
_SHOWN: Final = 60


class Broken(NamedTuple):
    """Alarms on some rows, worst first, names that the reference lacks, and the reference; None: only promises hold."""

    rows: int
    violations: Sequence[Violation]
    new: tuple[str, ...]
    reference: ModelReference | None


@dataclass(slots=True)
class QualityEpisode:
    """An open finding: since when, what it last said and when, and since when all is whole.

    `rare` says that a whole chunk has to be over: what is wrong is too rare for a part of one. `broken` is what the last
    part said, `silent` that it is about records that have stopped.
    """

    series: Series
    start: int
    value: float = 0.0
    rows: int = 0
    evidence: dict[str, float | str] = field(default_factory=dict)
    said_at: int = 0
    calm_since: int = 0
    rare: bool = False
    broken: bool = False
    silent: bool = False

    def move(self, broken: Broken, end: int, at: int, *, whole: bool) -> tuple[bool, list[Finding]]:
        """Take in what rows up to `end` say, of a whole chunk or of a part; whether it is over, and what is told."""
        if broken.violations:
            self.calm_since, self.silent = 0, False
            self.rare |= whole
            self.broken |= not whole
            return False, self._say(broken, at)
        if self.silent:  # records came back, and nothing is wrong with them
            return True, self.end(at, "records come again")
        if whole:
            over, self.rare = self.rare and not self.broken, False
            return over, self.end(at, "") if over else []
        self.broken = False
        self.calm_since = self.calm_since or end
        over = not self.rare and end - self.calm_since >= CALM_NS
        return over, self.end(at, "") if over else []

    def silence(self, broken: Broken, at: int) -> list[Finding]:
        """Take in that records have stopped."""
        self.silent = True
        return self._say(broken, at)

    def _say(self, broken: Broken, at: int) -> list[Finding]:
        """Open it, or give news: of something else that is broken, and else once an hour."""
        worst, before, opened = broken.violations[0], _what(self.evidence), self.said_at > 0
        self.value, self.rows = worst.count / max(worst.rows, 1), broken.rows
        self.evidence = evidence_of(broken)
        if opened and before == _what(self.evidence) and at - self.said_at < CALM_NS:
            return []
        self.said_at = at
        return [self._finding(Phase.UPDATE if opened else Phase.OPEN, at)]

    def end(self, at: int, reason: str) -> list[Finding]:
        """Close it."""
        if reason:
            self.evidence = {**self.evidence, "closed": one_line(reason, _TEXT_CHARS)}
        return [self._finding(Phase.CLOSE, at)]

    def _finding(self, phase: Phase, at: int) -> Finding:
        return Finding(
            id=finding_id(self.series.tenant, MONITOR, self.series.id, self.start),
            phase=phase,
            tenant=self.series.tenant,
            monitor=MONITOR,
            series=self.series,
            start=self.start,
            end=at,
            time=at,
            value=self.value,
            expected=(math.nan, float(self.evidence.get("expected_ratio", 0.0))),
            log10_p=math.log10(LEVEL),
            n_eff=float(self.rows),
            level=math.log10(LEVEL),
            direction="shape",
            evidence=self.evidence,
        )

    def snapshot(self) -> list[Any]:
        """All state but the series, as a tree."""
        return [
            self.start, self.value, self.rows, dict(self.evidence), self.said_at, self.calm_since, self.rare, self.broken,
            self.silent,
        ]  # fmt: skip

    @staticmethod
    def of(state: Sequence[Any], series: Series) -> QualityEpisode:
        """An episode back from a snapshot."""
        start, value, rows, evidence, *flags = state
        return QualityEpisode(series, start, value, rows, dict(evidence), *flags)


def _what(evidence: Mapping[str, float | str]) -> list[tuple[str, float | str]]:
    """Which features are broken, and how."""
    return sorted(
        (str(evidence[f"violation.{place}.feature"]), evidence[f"violation.{place}"])
        for place in range(1, _TOP + 1)
        if f"violation.{place}" in evidence
    )


def evidence_of(broken: Broken) -> dict[str, float | str]:
    """Of the worst five features what is wrong, of how many rows, what would be usual, and one of them."""
    worst = broken.violations[0]
    reference = broken.reference
    share = worst.count / max(worst.rows, 1)
    found: dict[str, float | str] = {
        "detector": "data quality",
        "summary": "what the model is given breaks what its reference promised",
        "deviation": _deviation(broken),
        "n": float(broken.rows),
        "violations": float(len(broken.violations)),
        "expected_ratio": worst.expected / max(worst.rows, 1),
        # harm is not known before there is truth: all rows broken is a warning, just not critical
        "severity_ratio": 1.0 + 1.4 * share,
        "reference": "what a person promised" if reference is None else reference.span,
        "reference_n": 0.0 if reference is None else float(reference.sample.seen),
    }
    for place, each in enumerate(broken.violations[:_TOP], 1):
        found |= _violation(f"violation.{place}", each)
    if broken.new and any(each.fault is Fault.COLUMN_GONE for each in broken.violations):
        found["new_features"] = one_line(", ".join(broken.new), _TEXT_CHARS)
    return found


def _violation(key: str, each: Violation) -> Mapping[str, float | str]:
    found: dict[str, float | str] = {
        key: each.fault.value,
        f"{key}.feature": one_line(each.feature, _NAME_CHARS),
        f"{key}.reason": one_line(each.said, _TEXT_CHARS),
        f"{key}.count": float(each.count),
        f"{key}.rows": float(each.rows),
        f"{key}.expected": float(each.expected),
    }
    return found | ({f"{key}.example": one_line(each.example, _SHOWN)} if each.example else {})


_SAID: Final = {
    Fault.COLUMN_GONE: "gone from",
    Fault.TYPE_CHANGED: "of another type in",
    Fault.CORRUPTED: "corrupted in",
    Fault.MISSING: "missing in",
    Fault.OUT_OF_RANGE: "out of range in",
    Fault.UNSEEN: "of an unseen category in",
    Fault.CONSTANT: "constant in",
    Fault.STUCK: "stuck in",
}


def _deviation(broken: Broken) -> str:
    worst = broken.violations[0]
    if worst.fault is Fault.STALE:
        return f"stale: {one_line(worst.said, 100)}"
    name = one_line(worst.feature, _NAME_CHARS)
    more = len({each.feature for each in broken.violations} - {worst.feature})
    rest = f", and {more} more feature{'s' * (more != 1)}" if more else ""
    return f"in {name} ({_SAID[worst.fault]} {worst.count:,} of {worst.rows:,} rows){rest}"
