"""Did it help? The same detector must say so, and what was not touched must not have done as well by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import fmean, median
from typing import Final

from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Incident
from tocsin.model.series import Labels
from tocsin.respond.ports import Window
from tocsin.spec.playbook import VerifySpec

SPAN_SHARE: Final = 0.5
"""Windows of the last half of the time since the action stand for what came of it."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: the finding that asked for the action, when that was begun, and to whom traffic went."""

    finding_id: str
    series_id: bytes
    monitor: str
    labels: Labels
    direction: str
    begun_at: int
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it helped, and why, in words."""

    better: bool
    said: str


def judged(
    case: Case, verify: VerifySpec, incidents: Sequence[Incident], windows: Sequence[Window], now: int
) -> Verdict:
    """Judge by the latest news of the findings, and by the windows of the same monitor since before the action."""
    if open_now := still_open(case, incidents):
        return Verdict(better=False, said=f"{case.monitor} is still out of line: {open_now.value:.4g}")
    finding = next((f for each in incidents for f in each.findings if f.id.hex() == case.finding_id), None)
    if finding is None:
        return Verdict(better=False, said="nothing more is known of the finding: no proof")
    if "absorbed" in finding.evidence:
        return Verdict(better=False, said="the finding did not end: it was taken as the new normal")
    if worse := _harmed(case, verify, incidents):
        labels = ", ".join(value for _, value in worse.series.labels)
        return Verdict(better=False, said=f"since then {case.monitor} is out of line for {labels}: {worse.value:.4g}")
    cleared = f"{case.monitor} is in line again: {finding.value:.4g}"
    if not verify.control:
        return Verdict(better=True, said=f"{cleared}; no control was named")
    return _beside(case, verify, windows, cleared, now)


def still_open(case: Case, incidents: Sequence[Incident]) -> Finding | None:
    """An open finding of the same monitor about the same series, the first or a later one."""
    found = (each for incident in incidents for each in incident.findings if each.phase is not Phase.CLOSE)
    return next((each for each in found if each.monitor == case.monitor and each.series.id == case.series_id), None)


def _harmed(case: Case, verify: VerifySpec, incidents: Sequence[Incident]) -> Finding | None:
    """A finding of the same monitor that began after the action, about the fallback or the control."""
    for incident in incidents:
        for each in incident.findings:
            fresh = each.monitor == case.monitor and each.phase is not Phase.CLOSE and each.start >= case.begun_at
            mine = _takes(case, each.series.labels) or _chosen(verify, each.series.labels)
            if fresh and mine and each.series.id != case.series_id:
                return each
    return None


def _takes(case: Case, labels: Labels) -> bool:
    return bool(case.fallback) and case.fallback in {value for _, value in labels}


def _chosen(verify: VerifySpec, labels: Labels) -> bool:
    held = dict(labels)
    return bool(verify.control) and all(fnmatchcase(held.get(key, ""), glob) for key, glob in verify.control.items())


def _beside(case: Case, verify: VerifySpec, windows: Sequence[Window], cleared: str, now: int) -> Verdict:
    treated = next(
        (change for each in windows if each.labels == case.labels and (change := _change(each, case, now))), None
    )
    controls = [
        change
        for each in windows
        if each.labels != case.labels and _chosen(verify, each.labels) and not _takes(case, each.labels)
        and (change := _change(each, case, now)) is not None
    ]  # fmt: skip
    if treated is None or not controls:
        missing = "what was treated" if treated is None else "the control"
        return Verdict(
            better=False, said=f"{cleared}, but there are no windows of {missing} before and after: no proof"
        )
    beside = median(controls)
    up = case.direction != "down"
    better = treated <= beside * (1 - verify.better_by) if up else treated >= beside * (1 + verify.better_by)
    arithmetic = f"it is {treated:.2f} times what it was, {len(controls)} untouched {beside:.2f} times"
    if better:
        return Verdict(better=True, said=f"{cleared}; {arithmetic}")
    return Verdict(better=False, said=f"{cleared}, but {arithmetic}: not the action's doing by {verify.better_by:.0%}")


def _change(window: Window, case: Case, now: int) -> float | None:
    """Mean of the windows after an action over that of those just before it."""
    length = max(1, now - case.begun_at)
    pairs = list(zip(window.times, window.values, strict=True))
    before = [
        value for time, value in pairs if case.begun_at - length <= time <= case.begun_at and math.isfinite(value)
    ]
    after = [value for time, value in pairs if time > now - SPAN_SHARE * length and math.isfinite(value)]
    if not before or not after or not fmean(before):
        return None
    return fmean(after) / fmean(before)
