"""Which findings are about attacks: they have a route of their own, and nothing is ever done about them by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tocsin.model.finding import Finding

KIND: Final = "kind"
"""In the evidence of a finding: what kind it is; absent for one that is about how well something works."""
SECURITY: Final = "security"
BLIND: Final = "blind"
"""The kind of findings about what can no longer be seen."""


def is_security(finding: Finding) -> bool:
    """Whether a finding is about an attack."""
    return finding.evidence.get(KIND) == SECURITY


def kinds_of(findings: Iterable[Finding]) -> set[str]:
    """The kinds of findings: `security`, and `anomaly` for all that tell none."""
    return {str(each.evidence.get(KIND, "anomaly")) for each in findings}
