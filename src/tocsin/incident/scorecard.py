"""The scorecard of shadow mode: the incidents there were, beside what others alerted on in the same time.

An incident and an alert are of the same trouble when their times meet, with a little tolerance, and they share the
value of a label; alerts none of whose values occur in any incident are matched by time alone, for want of better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.model.text import one_line
from tocsin.model.times import time_from_json, time_to_json

TOLERANCE_NS: Final = 300 * 10**9
MOST_ALERTS: Final = 20_000
MOST_LABELS: Final = 64
PRECISION: Final = 0.5
RECALL: Final = 0.8
LEAST: Final = 5
GAP_NS: Final = 900 * 10**9
"""Samples of a firing alert that lie further apart are two alerts."""
FAR: Final = 1 << 62
_NAMES: Final = ("alertname", "severity", "alertstate", "__name__")
"""Labels that say what an alert is, not where."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that others alerted on, or a past incident, from `start` to `end` (ns; None: not over)."""

    name: str
    start: int
    end: int | None
    labels: Mapping[str, str]

    def to_json(self) -> Json:
        """The JSON that `alert_of` reads."""
        return {
            "name": self.name,
            "start": time_to_json(self.start),
            "end": None if self.end is None else time_to_json(self.end),
            "labels": dict(self.labels),
        }


def alerts_of(document: object) -> list[Alert]:
    """Alerts out of a JSON document.

    It may be an Alertmanager's list or webhook, Prometheus's `ALERTS` over a range, or rows with `start`, `end`,
    `name` and `labels`.

    Raises
    ------
    BadInput
        It is none of these, or too long.

    >>> alerts_of([{"labels": {"alertname": "Slow", "service": "web"}, "startsAt": "2026-01-01T00:00:00Z"}])[0].name
    'Slow'
    """
    rows: Any = document
    if isinstance(document, dict):
        data = document.get("data")
        rows = document.get("alerts", data.get("result", data.get("alerts")) if isinstance(data, dict) else data)
    if not isinstance(rows, list) or len(rows) > MOST_ALERTS:
        raise BadInput(f"this is no list of at most {MOST_ALERTS:,} alerts: give what /api/v2/alerts answers, or rows")
    try:
        found = [alert for row in rows for alert in (_ranges(row) if "values" in row else [_alert(row)])]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(f"an alert can't be read: {error!r}") from None
    if not all(0 <= each.start < FAR and (each.end or 0) < FAR for each in found):
        raise BadInput("the time of an alert lies beyond all calendars")
    return sorted(found, key=lambda each: (each.start, each.name))


def _alert(row: Mapping[str, Any]) -> Alert:
    labels = _labels(row.get("labels") or {})
    name = row.get("name") or row.get("title") or labels.get("alertname") or "alert"
    start = time_from_json(str(row.get("startsAt") or row["start"]))
    text = row.get("endsAt") or row.get("end")
    end = time_from_json(str(text)) if text and not str(text).startswith("0001-") else None
    return Alert(one_line(str(name), 200), start, end if end is None or end > start else None, labels)


def _ranges(row: Mapping[str, Any]) -> list[Alert]:
    """Alerts out of the samples of one series of a range query, each as long as it went on firing."""
    labels = _labels(row["metric"])
    if labels.get("alertstate", "firing") != "firing":
        return []
    times = [int(float(at) * 1e9) for at, value in row["values"] if float(value) > 0]
    found: list[Alert] = []
    for time in times:
        last = found[-1] if found else None
        if last is not None and last.end is not None and time - last.end <= GAP_NS:
            found[-1] = Alert(last.name, last.start, time, labels)
        else:
            found.append(Alert(one_line(labels.get("alertname", "alert"), 200), time, time, labels))
    return found


def _labels(given: Mapping[str, Any]) -> dict[str, str]:
    return {one_line(str(k), 200): one_line(str(v), 500) for k, v in list(given.items())[:MOST_LABELS]}


@dataclass(frozen=True, slots=True)
class Gate:
    """What shadow mode must show before alerts go out."""

    precision: float = PRECISION
    recall: float = RECALL
    least: int = LEAST


def scorecard(ours: Sequence[tuple[Incident, str]], alerts: Sequence[Alert], gate: Gate) -> Json:
    """Precision, recall, overlap and lead of incidents, each with the last verdict on it (or ""), beside alerts.

    An incident is right if people called it real, or if it has an alert and nobody called it false. Nothing to compare
    is no pass.
    """
    known = {value for incident, _ in ours for value in _values(incident)}
    pairs = {
        (i, k)
        for i, (incident, _) in enumerate(ours)
        for k, alert in enumerate(alerts)
        if _meet(incident, alert) and _share(incident, alert, known)
    }
    seen = {k for _, k in pairs}
    matched = {i for i, _ in pairs}
    right = [
        i for i, (_, said) in enumerate(ours) if said == "real_problem" or (said != "false_alarm" and i in matched)
    ]
    leads = sorted((alerts[k].start - min(ours[i][0].opened_at for i, j in pairs if j == k)) / 1e9 for k in seen)
    precision = len(right) / len(ours) if ours else None
    recall = len(seen) / len(alerts) if alerts else None
    union = len(ours) + len(alerts) - len(seen)
    faults = _faults(precision, recall, len(alerts), gate)
    return {
        "incidents": len(ours),
        "alerts": len(alerts),
        "precision": precision,
        "recall": recall,
        "overlap": len(seen) / union if union else None,
        "lead_s": median(leads) if leads else None,
        "judged": sum(bool(said) for _, said in ours),
        "gate": {
            "passed": not faults,
            "reasons": faults,
            "precision": gate.precision,
            "recall": gate.recall,
            "least": gate.least,
        },
        "alerts_missed": [each.to_json() for k, each in enumerate(alerts) if k not in seen][:100],
        "incidents_alone": [
            {"id": each.id, "title": each.title, "opened_at": time_to_json(each.opened_at), "said": said}
            for i, (each, said) in enumerate(ours)
            if i not in matched
        ][:100],
    }


def _faults(precision: float | None, recall: float | None, alerts: int, gate: Gate) -> list[str]:
    found = []
    if alerts < gate.least:
        found.append(f"{alerts} alerts or past incidents are fewer than {gate.least}: too few to compare with")
    if recall is not None and recall < gate.recall:
        found.append(f"{recall:.0%} of them were seen, {gate.recall:.0%} are wanted")
    if precision is None:
        found.append("there were no incidents")
    elif precision < gate.precision:
        found.append(f"{precision:.0%} of the incidents were right, {gate.precision:.0%} are wanted")
    return found


def _values(incident: Incident) -> Iterable[str]:
    yield from incident.entities
    for finding in incident.findings:
        yield from (value for _, value in finding.series.labels)


def _meet(incident: Incident, alert: Alert) -> bool:
    start = min([incident.opened_at, *(each.start for each in incident.findings)])
    end = incident.resolved_at if incident.resolved_at is not None else max(incident.updated_at, incident.opened_at)
    last = alert.end if alert.end is not None else max(alert.start, end)
    return start - TOLERANCE_NS <= last and alert.start <= end + TOLERANCE_NS


def _share(incident: Incident, alert: Alert, known: set[str]) -> bool:
    where = {value for key, value in alert.labels.items() if key not in _NAMES and value} & known
    return not where or bool(where & set(_values(incident)))
