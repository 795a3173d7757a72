"""Whether a bundle gives the verdict again that was told, and under what it would have been another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from tocsin.app.replays.bundle import Bundle, opened
from tocsin.app.replays.counterfactual import Counterfactual, counterfactual
from tocsin.app.replays.refold import Refolded, founding, refold
from tocsin.model.codec import Json, finding_to_json, number_to_json
from tocsin.model.finding import Finding

Outcome: TypeAlias = Literal["same", "close", "different", "missing", "later"]
CLOSE: Final = 1e-9
"""On another processor values agree to so much of their size."""
_WORSE: Final = frozenset({"different", "missing"})


@dataclass(frozen=True, slots=True)
class Checked:
    """One piece of news as it was told, and as the replay has it (None: not at all)."""

    told: Finding
    found: Finding | None
    outcome: Outcome

    def to_json(self) -> Json:
        """The JSON of it."""
        return {
            "id": self.told.id.hex(),
            "monitor": self.told.monitor,
            "signal": self.told.series.signal.name,
            "labels": dict(self.told.series.labels),
            "phase": self.told.phase.value,
            "outcome": self.outcome,
            "told": _numbers(self.told),
            "replayed": None if self.found is None else _numbers(self.found),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a replay."""

    bundle: Bundle
    folded: Refolded
    checks: Sequence[Checked]
    counterfactual: Counterfactual

    @property
    def same(self) -> bool:
        """Whether everything that could be compared came out as it was told, and something could."""
        compared = [each for each in self.checks if each.outcome != "later"]
        return bool(compared) and not any(each.outcome in _WORSE for each in compared)

    def to_json(self) -> Json:
        """The public JSON."""
        manifest = self.bundle.manifest
        return {
            "incident": self.bundle.told.id,
            "title": self.bundle.told.title,
            "same": self.same,
            "bits": "equal" if all(each.outcome in ("same", "later") for each in self.checks) else "close",
            "made_by": {"version": manifest.get("version"), **dict(manifest.get("made_with") or {})},
            "records": self.folded.records,
            "findings": [each.to_json() for each in self.checks],
            "counterfactual": self.counterfactual.to_json(),
        }


def replay(path: Path, *, trust_models: bool = False) -> Verdict:
    """Fold a bundle and compare.

    Raises
    ------
    BadInput
        There is no such file, or it brings models along that are not trusted.
    Corrupt
        It is no bundle that this program can read.
    """
    with opened(path) as bundle:
        folded = refold(bundle, trust_models=trust_models)
        checks = [_check(each, folded) for each in _told(bundle)]
        return Verdict(bundle, folded, checks, counterfactual(founding(bundle), folded.heard))


def _told(bundle: Bundle) -> list[Finding]:
    """What was told when it opened, and the latest news of each of its findings."""
    found = {(each.id, each.phase, each.time): each for each in (*bundle.told.findings, *bundle.now.findings)}
    return sorted(found.values(), key=lambda each: (each.time, each.id))


def _check(told: Finding, folded: Refolded) -> Checked:
    if told.time > folded.until:
        return Checked(told, None, "later")
    said = [each for each in folded.news.get(told.id, ()) if (each.phase, each.time) == (told.phase, told.time)]
    if not said:
        return Checked(told, None, "missing")
    # of several at one time the latest counts, as it does for who was told
    found = said[-1]
    one, other = finding_to_json(told), finding_to_json(found)
    # grouping adds words and what was told before to the evidence: what the engine said must be in it
    one["evidence"] = {key: value for key, value in one["evidence"].items() if key in other["evidence"]}
    return Checked(told, found, "same" if one == other else "close" if alike(one, other) else "different")


def alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers.

    >>> alike({"a": [1.0, "x"]}, {"a": [1.0 + 1e-12, "x"]}), alike(1.0, 1.1), alike(1.0, None)
    (True, False, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_pairs_alike(one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(one == other)


def _pairs_alike(one: Iterable[Any], other: Iterable[Any]) -> Iterable[bool]:
    return (alike(a, b) for a, b in zip(one, other, strict=True))


def _numbers(finding: Finding) -> Json:
    return {
        "time": finding.time,
        "value": number_to_json(finding.value),
        "expected": [number_to_json(limit) for limit in finding.expected],
        "log10_p": number_to_json(finding.log10_p),
        "n_eff": number_to_json(finding.n_eff),
        "level": number_to_json(finding.level),
    }
