"""The stores as the control API wants them: its ports, filled by what the stores answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict

from tocsin.api import ports
from tocsin.api.ports import ExportFormat, Line, Row, StripRow, Where
from tocsin.model.arrays import F8
from tocsin.model.codec import incident_to_json
from tocsin.model.decision import Applied, Feedback, Silence, TrailPart, Verdict
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.series import MAIN_TENANT
from tocsin.model.transition import Regroup
from tocsin.store.export import chunks_of_rows
from tocsin.store.exported import INCIDENT_TYPES
from tocsin.store.queries import Curve, PaneCurve
from tocsin.store.rows import IncidentEvent
from tocsin.store.state import Page, StateStore
from tocsin.store.telemetry import TelemetryStore

INCIDENT_LIMIT = 10_000
ENTITY_KEYS = ("service.name", "host.name", "Hostname", "instance", "model_name")
"""Labels that may name whom a row of the anomaly strip is about, the wanted one before them."""
CONFIG = "config"
"""Kind of the configurations in the state store; they are the server's, so they are kept under its own tenant."""


class TelemetryView:
    """`tocsin.api.ports.Telemetry` over the telemetry store; incidents are exported from the state store."""

    def __init__(self, store: TelemetryStore, state: StateStore) -> None:
        self._store = store
        self._state = state

    def signals(self, tenant: str, search: str, entity: str, limit: int) -> Sequence[Row]:
        """Signals by name; with an `entity` only those that have a series of this service or host."""
        found = self._store.signals(tenant, search, limit)
        if not entity:
            return found
        names = {
            series.signal
            for key in ENTITY_KEYS
            for series in self._store.series(tenant, None, {key: entity}, limit=INCIDENT_LIMIT)
        }
        return [row for row in found if row["name"] in names]

    def series(self, tenant: str, signal: str, where: Where, limit: int) -> Sequence[Row]:
        """Series of a signal with their latest value and state."""
        units = {row["name"]: row["unit"] for row in self._store.signals(tenant, signal, limit)}
        return [{**row, "unit": units.get(signal, "")} for row in self._store.latest(tenant, signal, where, limit)]

    def points(
        self, tenant: str, signal: str, where: Where, start: int, end: int, max_points: int, series_id: str = ""
    ) -> Sequence[Line]:
        """Raw values, thinned."""
        one = _identity(series_id)
        found = self._store.points(tenant, signal, where, start, end, max_points, series_id=one)
        return [_line(curve) for curve in found]

    def panes(self, tenant: str, monitor: str, series_id: str, start: int, end: int, max_points: int) -> Sequence[Line]:
        """Closed windows with their band.

        Raises
        ------
        BadInput
            The id of the series is not 32 hexadecimal digits.
        """
        series = _identity(series_id)
        return [_pane(c) for c in self._store.panes(tenant, monitor or None, series, start, end, max_points)]

    def strip(self, tenant: str, start: int, end: int, buckets: int, by: str) -> Sequence[StripRow]:
        """Worst log10 p per entity and bucket."""
        keys = (by, *(key for key in ENTITY_KEYS if key != by))
        strip = self._store.strip(tenant, start, end, buckets, keys)
        return [
            StripRow(name, [None if math.isnan(v) else -float(v) for v in row])
            for name, row in sorted(strip.rows.items())
            if name
        ]

    def events(self, tenant: str, start: int, end: int, limit: int) -> Sequence[Row]:
        """Change events, newest first."""
        return self._store.events(tenant, start, end, limit)

    def logs(
        self, tenant: str, where: Where, start: int, end: int, limit: int, *, search: str = "", least: int = 0
    ) -> Sequence[Row]:
        """Log lines, newest first."""
        return self._store.logs(tenant, where, start, end, limit, search, least)

    def log_templates(
        self, tenant: str, start: int, end: int, service: str, *, search: str = "", limit: int = 200
    ) -> Sequence[Row]:
        """Templates of logs with their counts."""
        return self._store.log_templates(tenant, start, end, service, search, limit)

    def states(self, tenant: str) -> Mapping[str, int]:
        """Number of series per state; those never named otherwise are live."""
        found = dict(self._store.states(tenant))
        known = sum(int(str(row["series"])) for row in self._store.signals(tenant, "", INCIDENT_LIMIT))
        if known:
            found["live"] = max(0, known - sum(n for state, n in found.items() if state != "live"))
        return found

    def series_states(self, tenant: str, state: str, limit: int) -> Sequence[Row]:
        """Series in one state, or in any but the usual one."""
        rows = self._store.series_states(tenant, limit=limit)
        return [{**row, "id": row["series"]} for row in rows if not state or row["state"] == state]

    def learning(self, tenant: str) -> ports.Learning:
        """How many watched groups give verdicts yet."""
        return ports.Learning(**asdict(self._store.learning(tenant)))

    def export(
        self, kind: str, tenant: str, *, signal: str, where: Where, start: int, end: int, form: ExportFormat
    ) -> Iterator[bytes]:
        """Everything stored of one kind, in chunks."""
        if kind == "incidents":
            return export_incidents(self._state, tenant, start, end, form)
        return self._store.export(kind, tenant, form, signal=signal or None, where=where, start=start, end=end)


def export_incidents(state: StateStore, tenant: str, start: int, end: int, form: ExportFormat) -> Iterator[bytes]:
    """Incidents opened in [start, end) ns, with the pages that went out."""
    rows = [
        incident_to_json(incident, [_page(page) for page in state.pages(tenant, incident.id)])
        for incident in reversed(state.incidents(tenant, limit=INCIDENT_LIMIT))
        if start <= incident.opened_at < end
    ]
    return chunks_of_rows(rows, INCIDENT_TYPES, form, table="incidents")


def _page(page: Page) -> dict[str, object]:
    message = page.message
    return {
        "destination": message.destination,
        "action": message.action,
        "state": page.state,
        "dry_run": message.dry_run,
    }


def _identity(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text else None
    except ValueError:
        raise BadInput(f"{text[:40]!r} is no series id; it has 32 hexadecimal digits") from None


def _numbers(values: F8) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _line(curve: Curve) -> Line:
    series = curve.series
    time = [int(t) for t in curve.time]
    return Line(series.id.hex(), series.signal, series.unit, series.labels, time, _numbers(curve.mean))


def _pane(curve: PaneCurve) -> Line:
    series = curve.series
    return Line(
        series.id.hex(),
        series.signal,
        series.unit,
        series.labels,
        [int(t) for t in curve.time],
        _numbers(curve.value),
        _numbers(curve.lower),
        _numbers(curve.upper),
        _numbers(curve.log10_p),
        curve.monitor,
    )


class StateView:
    """`tocsin.api.ports.State`; what people do also reaches the fold, through `told`, and that it was real `confirmed`."""

    def __init__(
        self,
        state: StateStore,
        told: Callable[[Incident, str, str, int], None],
        confirmed: Callable[[Incident, str], None] = lambda *_: None,
        regrouped: Callable[[str, str, Regroup, str], None] = lambda *_: None,
    ) -> None:
        self._state = state
        self._told = told
        self._confirmed = confirmed
        self._regrouped = regrouped

    def incidents(self, tenant: str, states: frozenset[IncidentState], since: int, limit: int) -> Sequence[Incident]:
        """Incidents in these states, newest first."""
        return self._state.incidents(tenant, states, since, limit)

    def incident(self, tenant: str, incident_id: str) -> Incident | None:
        """One incident, or None."""
        return self._state.incident(tenant, incident_id)

    def incident_events(self, tenant: str, incident_id: str) -> Sequence[ports.IncidentEvent]:
        """The life of one incident."""
        return [_event(e) for e in self._state.incident_events(tenant, incident_id)]

    def events_after(self, tenant: str, seq: int, limit: int) -> Sequence[ports.IncidentEvent]:
        """Events numbered above `seq`."""
        return [_event(e) for e in self._state.events_after(tenant, seq, limit)]

    def last_seq(self, tenant: str) -> int:
        """Number of the newest event."""
        return self._state.last_seq(tenant)

    def pages(self, tenant: str, incident_id: str) -> Sequence[ports.Page]:
        """What was sent about an incident, and what waits."""
        return [
            ports.Page(p.message, p.state, p.settled_at if p.state == "sent" else None, p.last_error)
            for p in self._state.pages(tenant, incident_id)
        ]

    def act(
        self, tenant: str, incident_id: str, action: ports.Action, *, by: str, note: str, at: int
    ) -> Incident | None:
        """Acknowledge or resolve; None: no such incident."""
        found = self._state.act(tenant, incident_id, action, by=by, note=note, at=at)
        if found is not None:
            self._told(found, action, by, at)
        return found

    def regroup(self, tenant: str, incident_id: str, change: Regroup, *, by: str, at: int) -> bool:
        """Merge or split; the fold hears of it."""
        known = self._state.regroup(tenant, incident_id, change, by=by, at=at)
        if known:
            self._regrouped(tenant, incident_id, change, by)
        return known

    def add_feedback(
        self, tenant: str, incident_id: str, verdict: Verdict, *, by: str, at: int, note: str = ""
    ) -> bool:
        """Record what a person said of an incident."""
        known = self._state.add_feedback(tenant, incident_id, verdict, by=by, at=at, note=note)
        incident = self._state.incident(tenant, incident_id) if known and verdict == "real_problem" else None
        if incident is not None:
            self._confirmed(incident, by)
        return known

    def feedback(self, tenant: str, incident_id: str) -> Sequence[Feedback]:
        """What people said of an incident."""
        return self._state.feedback(tenant, incident_id)

    def add_silence(self, silence: Silence) -> None:
        """Add a silence."""
        self._state.add_silence(silence)

    def end_silence(self, tenant: str, silence_id: str, *, by: str, at: int) -> Silence | None:
        """End a silence now."""
        return self._state.end_silence(tenant, silence_id, by=by, at=at)

    def silences(self, tenant: str, now: int) -> Sequence[Silence]:
        """Silences in force."""
        return self._state.silences(tenant, now)

    def past_silences(self, tenant: str, now: int, limit: int) -> Sequence[Silence]:
        """Silences that are over."""
        return self._state.past_silences(tenant, now, limit)

    def configurations(self, limit: int) -> Sequence[Applied]:
        """Configurations that were in force."""
        return self._state.specs(MAIN_TENANT, CONFIG, limit)

    def audit(self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object], at: int) -> None:
        """Append to the audit trail."""
        self._state.audit(tenant, actor, action, subject, detail, at)

    def audit_trail(self, tenant: str, limit: int, part: TrailPart) -> Sequence[Row]:
        """The audit trail, newest first."""
        return [
            {**asdict(each), "detail": json.loads(each.detail)} for each in self._state.audit_trail(tenant, limit, part)
        ]

    def audit_actions(self, tenant: str) -> Sequence[str]:
        """Actions of which there are entries."""
        return self._state.audit_actions(tenant)

    def verify_audit(self) -> int:
        """Number of entries of the audit trail, all checked."""
        return self._state.verify_audit()


def _event(event: IncidentEvent) -> ports.IncidentEvent:
    return ports.IncidentEvent(
        event.seq,
        event.time,
        event.incident_id,
        event.kind,
        event.by,
        event.note,
    )
