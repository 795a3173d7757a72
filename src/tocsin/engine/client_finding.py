"""What a finding about a client of a model says: what it did, beside what all others do, in words and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from tocsin.assess.client_signs import Sign
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.security import KIND, SECURITY
from tocsin.model.series import Series, Signal
from tocsin.model.text import one_line

SIGNAL: Final = Signal("tocsin.model.security", "1")
MONITORS: Final = {
    "extraction": "model-extraction", "probing": "model-probing", "inversion": "model-inversion",
    "poisoning": "model-poisoning",
}  # fmt: skip
SUMMARIES: Final = {
    "extraction": "one client's inputs sweep what the model may be given, as copying it would",
    "probing": "one client's near-duplicates get answers that flip, as a search for the model's boundary would",
    "inversion": "one client asks about one record again and again with small changes, as an attack on its privacy would",
    "poisoning": "truth or feedback of one source contradicts the model far more than that of others: keep it out of training until it is checked",
}
LEVEL: Final = -6.0
_SEVERITY: Final = 1.8


@dataclass(slots=True)
class ClientEpisode:
    """An open finding: of which client and kind, since when, what it last said and when it was last true."""

    series: Series
    kind: str
    start: int
    sign: Sign
    seen: int

    def finding(self, phase: Phase, at: int) -> Finding:
        """News of it as of `at` (event time, ns)."""
        monitor, sign = MONITORS[self.kind], self.sign
        who = next(f"{key}={value}" for key, value in self.series.labels if key != "model")
        return Finding(
            id=finding_id(self.series.tenant, monitor, self.series.id, self.start),
            phase=phase,
            tenant=self.series.tenant,
            monitor=monitor,
            series=self.series,
            start=self.start,
            end=at,
            time=at,
            value=sign.value,
            expected=(math.nan, sign.limit),
            log10_p=LEVEL,
            n_eff=float(sign.n),
            level=LEVEL,
            direction="shape",
            evidence={
                "detector": "clients",
                KIND: SECURITY,
                "threat": self.kind,
                "summary": SUMMARIES[self.kind],
                "deviation": one_line(f"by {one_line(who, 60)}: {sign.said}", 200),
                "n": float(sign.n),
                "limit": sign.limit,
                "severity_ratio": _SEVERITY,
                **sign.numbers,
            },
        )

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        sign = self.sign
        told = [sign.kind, sign.value, sign.limit, sign.n, sign.said, dict(sign.numbers)]
        return [self.kind, self.start, told, self.seen]

    @staticmethod
    def back(state: Any, series: Series) -> ClientEpisode:
        """An episode back from a snapshot."""
        kind, start, told, seen = state
        return ClientEpisode(series, kind, start, Sign(*told), seen)
