"""A small world behind the ports of the API: empty, or full of everything that a page can show."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from api import log_world
from api.action_world import FakeActions
from api.call_world import FakeCalls
from api.machine_world import machines
from api.model_world import FakeRows, FakeTrials, groups_of_world, rows_of_world
from api.replay_world import FakeReplays
from api.trace_world import FakeTraces
from api.world import HOSTILE, NOW, NS, SHAPES, line_of, others, series_of, story, value_at
from incident_world import guide
from tocsin.api.ports import (
    Action,
    Deps,
    DestinationStatus,
    ExportFormat,
    IncidentEvent,
    Learning,
    Line,
    Page,
    Row,
    StripRow,
    Where,
)
from tocsin.app.model_health.experiments import Experiments
from tocsin.app.model_health.view import ModelHealth
from tocsin.correlate.summary import Summariser
from tocsin.model.access import OPEN_ACCESS, Access, Scope
from tocsin.model.clock import ManualClock
from tocsin.model.decision import WHOLE_TRAIL, Applied, Feedback, Silence, TrailPart
from tocsin.model.errors import BadInput, Retryable
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message
from tocsin.model.series import Series
from tocsin.model.transition import Regroup

KEYS = {"reader": Scope.READ, "operator": Scope.OPERATE, "boss": Scope.ADMIN}


class FakeTelemetry:
    """The telemetry store of this world."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def signals(self, tenant: str, search: str, entity: str, limit: int) -> Sequence[Row]:
        rows = [
            {"name": name, "unit": shape[0], "kind": "gauge", "series": 1, "last_time": NOW - 4 * NS}
            for name, shape in SHAPES.items()
        ]
        rows.append({"name": HOSTILE, "unit": "1", "kind": "sum", "series": 3, "last_time": NOW - 900 * NS})
        kept = [row for row in rows if search.casefold() in str(row["name"]).casefold()]
        if entity:
            kept = [row for row in kept if SHAPES.get(str(row["name"]), ("", 0, 0, ""))[3] == entity]
        return kept[:limit] if self.full else []

    def series(self, tenant: str, signal: str, where: Where, limit: int) -> Sequence[Row]:
        if not self.full or signal not in SHAPES:
            return []
        found = series_of(signal)
        row = {
            "id": found.id.hex(),
            "labels": dict(found.labels),
            "unit": found.signal.unit,
            "last_time": NOW - 4 * NS,
            "last_value": value_at(signal, NOW)[0],
            "state": "live",
            "since": NOW - 86400 * NS,
            "cadence": 10 * NS,
        }
        other = Series.of("main", found.signal, {"service.name": HOSTILE, "region": "us-1"})
        quiet = {**row, "id": other.id.hex(), "labels": dict(other.labels), "state": "absent", "last_value": math.nan}
        return [each for each in (row, quiet) if all(dict(each["labels"]).get(k) == v for k, v in where.items())][
            :limit
        ]

    def points(
        self, tenant: str, signal: str, where: Where, start: int, end: int, max_points: int, series_id: str = ""
    ) -> Sequence[Line]:
        return [line_of(signal, start, end, min(max_points, 300))] if self.full and signal in SHAPES else []

    def panes(self, tenant: str, monitor: str, series_id: str, start: int, end: int, max_points: int) -> Sequence[Line]:
        if not self.full:
            return []
        return [
            line_of(name, start, end, min(max_points, 300), monitor or "baseline")
            for name in SHAPES
            if series_of(name).id.hex() == series_id and name != "network.io"
        ]

    def strip(self, tenant: str, start: int, end: int, buckets: int, by: str) -> Sequence[StripRow]:
        rows = []
        for k, name in enumerate(("support-bot", "vllm", "gpu-node-2", "web", HOSTILE)):
            worst: list[float | None] = [-0.4 - 1.6 * abs(math.sin(i * (k + 3) / 7)) for i in range(buckets)]
            if k < 3:
                first = buckets - 14 + 2 * k
                worst[first:] = [-6.0 - 2.0 * (i - first) for i in range(first, buckets)]
            if k == 4:
                worst[: buckets // 2] = [None] * (buckets // 2)
            rows.append(StripRow(name, worst))
        return rows

    def events(self, tenant: str, start: int, end: int, limit: int) -> Sequence[Row]:
        if not self.full:
            return []
        rows = [
            {"time": each.time, "kind": each.kind, "entity": each.entity, "what": each.what, "source": each.source}
            for each in reversed(story().changes)
        ]
        return [row for row in rows if start <= int(str(row["time"])) < end][:limit]

    def logs(
        self, tenant: str, where: Where, start: int, end: int, limit: int, *, search: str = "", least: int = 0
    ) -> Sequence[Row]:
        return log_world.lines(where, search, least)[:limit] if self.full else []

    def log_templates(
        self, tenant: str, start: int, end: int, service: str, *, search: str = "", limit: int = 200
    ) -> Sequence[Row]:
        return log_world.templates(service, search)[:limit] if self.full else []

    def states(self, tenant: str) -> Mapping[str, int]:
        return {"live": 41, "zero": 2, "late": 1, "stale": 1, "absent": 3} if self.full else {}

    def series_states(self, tenant: str, state: str, limit: int) -> Sequence[Row]:
        rows = [
            {
                "id": series_of(name).id.hex(),
                "signal": name,
                "labels": dict(series_of(name).labels),
                "state": "absent" if name == "network.io" else "live",
                "time": NOW - 900 * NS,
                "since": NOW - 900 * NS,
                "cadence": 10 * NS,
            }
            for name in SHAPES
        ]
        return [row for row in rows if not state or row["state"] == state][:limit] if self.full else []

    def learning(self, tenant: str) -> Learning:
        return Learning(warm=38, learning=4, first_at=NOW - 86400 * NS) if self.full else Learning()

    def export(
        self, kind: str, tenant: str, *, signal: str, where: Where, start: int, end: int, form: ExportFormat
    ) -> Iterator[bytes]:
        if kind == "records" and form == "parquet":
            raise BadInput("records have no parquet here")
        rows = [{"time": "2026-11-21T14:00:00Z", "signal": name, "value": 1.5} for name in SHAPES]
        if form == "csv":
            text = io.StringIO()
            writer = csv.DictWriter(text, ["time", "signal", "value"])
            writer.writeheader()
            writer.writerows(rows)
            yield text.getvalue().encode()
            return
        for row in rows:
            yield json.dumps(row).encode() + b"\n"


class FakeState:
    """The state store of this world."""

    def __init__(self, *, full: bool) -> None:
        self.held = {each.id: each for each in ([story(), *others()] if full else [])}
        self.log: list[IncidentEvent] = []
        self.quiet: dict[str, Silence] = {}
        self.said: list[Feedback] = []
        self.regrouped: list[tuple[str, Regroup, str]] = []
        self.trail: list[dict[str, object]] = []
        self.applied = [Applied(NOW - 3600 * NS, "ab" * 32, "tocsin.yaml", b"dry_run: false\n")] if full else []
        for each in self.held.values():
            self.note(each.id, "opened", each.opened_at)

    def note(self, incident: str, kind: str, time: int = NOW, by: str = "", note: str = "") -> None:
        """Write an event down."""
        self.log.append(IncidentEvent(len(self.log) + 1, time, incident, kind, by, note))

    def add(self, incident: Incident) -> None:
        """A new incident, or a newer value of one."""
        self.held[incident.id] = incident
        self.note(incident.id, "opened")

    def incidents(self, tenant: str, states: frozenset[IncidentState], since: int, limit: int) -> Sequence[Incident]:
        rows = [each for each in self.held.values() if each.state in states and each.updated_at >= since]
        return sorted(rows, key=lambda each: -each.updated_at)[:limit]

    def incident(self, tenant: str, incident_id: str) -> Incident | None:
        return self.held.get(incident_id)

    def incident_events(self, tenant: str, incident_id: str) -> Sequence[IncidentEvent]:
        return [each for each in self.log if each.incident_id == incident_id]

    def events_after(self, tenant: str, seq: int, limit: int) -> Sequence[IncidentEvent]:
        return self.log[seq : seq + limit]

    def last_seq(self, tenant: str) -> int:
        return len(self.log)

    def pages(self, tenant: str, incident_id: str) -> Sequence[Page]:
        found = self.held[incident_id]
        message = Message(
            "m1", "main", "pagerduty", "trigger", found, found.dedup_key, found.opened_at, found.opened_at
        )
        if found.impact.get("urgency") == "chat":
            rests = {"destination": "pagerduty", "dry_run": True}
            held = replace(message, id="m3", reason="rollout: on-call is told from phase 3 on", **rests)
            return [Page(replace(held, reason="maintenance nightly"), "dropped"), Page(held, "dropped")]
        failed = replace(message, id="m2", destination="slack", attempts=3)
        return [Page(message, "sent", found.opened_at + NS), Page(failed, "pending", error="503 from hooks.slack.com")]

    def act(self, tenant: str, incident_id: str, action: Action, *, by: str, note: str, at: int) -> Incident | None:
        found = self.held.get(incident_id)
        if found is None:
            return None
        state = IncidentState.ACKNOWLEDGED if action == "ack" else IncidentState.RESOLVED
        if found.state not in (state, IncidentState.RESOLVED):
            found = replace(found, state=state, updated_at=at, resolved_at=at if action == "resolve" else None)
            self.held[incident_id] = found
            self.note(incident_id, state.value, at, by, note)
        return found

    def regroup(self, tenant: str, incident_id: str, change: Regroup, *, by: str, at: int) -> bool:
        if incident_id not in self.held:
            return False
        self.regrouped.append((incident_id, change, by))
        self.note(incident_id, "merged" if change.action == "merge" else "split", at, by, change.into)
        return True

    def add_feedback(self, tenant: str, incident_id: str, verdict: str, *, by: str, at: int, note: str = "") -> bool:
        if incident_id not in self.held:
            return False
        self.said.append(Feedback(incident_id, at, verdict, by, note))
        self.note(incident_id, verdict, at, by, note)
        return True

    def feedback(self, tenant: str, incident_id: str) -> Sequence[Feedback]:
        return [each for each in self.said if each.incident_id == incident_id]

    def add_silence(self, silence: Silence) -> None:
        self.quiet[silence.id] = silence
        self.audit(silence.tenant, silence.by, "silence", silence.id, {}, silence.starts_at)

    def end_silence(self, tenant: str, silence_id: str, *, by: str, at: int) -> Silence | None:
        found = self.quiet.get(silence_id)
        if found is None or found.tenant != tenant:
            return None
        self.quiet[silence_id] = replace(found, ends_at=min(found.ends_at, at))
        self.audit(tenant, by, "end_silence", silence_id, {}, at)
        return self.quiet[silence_id]

    def silences(self, tenant: str, now: int) -> Sequence[Silence]:
        held = [each for each in self.quiet.values() if each.tenant == tenant and each.starts_at <= now < each.ends_at]
        return sorted(held, key=lambda each: each.ends_at)

    def past_silences(self, tenant: str, now: int, limit: int) -> Sequence[Silence]:
        return [each for each in self.quiet.values() if each.tenant == tenant and each.ends_at <= now][:limit]

    def configurations(self, limit: int) -> Sequence[Applied]:
        return self.applied[:limit]

    def audit(self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object], at: int) -> None:
        entry = {"seq": len(self.trail) + 1, "time": at, "tenant": tenant, "actor": actor, "action": action}
        self.trail.append(
            {
                **entry,
                "subject": subject,
                "detail": dict(detail),
                "previous": "",
                "sha256": f"{7 * len(self.trail):064x}",
            }
        )

    def audit_trail(self, tenant: str, limit: int, part: TrailPart = WHOLE_TRAIL) -> Sequence[Row]:
        mine = [each for each in reversed(self.trail) if each["tenant"] == tenant]
        return [each for each in mine if _in_part(each, part)][:limit]

    def audit_actions(self, tenant: str) -> Sequence[str]:
        return sorted({str(each["action"]) for each in self.trail if each["tenant"] == tenant})

    def verify_audit(self) -> int:
        return len(self.trail)


def _in_part(entry: Mapping[str, object], part: TrailPart) -> bool:
    seq, time = int(str(entry["seq"])), int(str(entry["time"]))
    return (
        part.actor in str(entry["actor"])
        and part.subject in str(entry["subject"])
        and fnmatchcase(str(entry["action"]), part.action or "*")
        and (part.before is None or seq < part.before)
        and (part.start is None or time >= part.start)
        and (part.end is None or time < part.end)
    )


class FakeDestinations:
    """The destinations of this world."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def all(self, tenant: str) -> Sequence[DestinationStatus]:
        rows = [
            DestinationStatus("pagerduty", "pagerduty", "events.pagerduty.com", last_ok_at=NOW - 35 * 60 * NS),
            DestinationStatus("slack", "slack", "#on-call", pending=1, failed=3, last_error=f"503 {HOSTILE}"),
        ]
        return rows if self.full else []

    def test(self, tenant: str, name: str) -> str:
        if name == "slack":
            raise Retryable("hooks.slack.com answered 503; try again, or look at the channel's webhook")
        return "events.pagerduty.com answered 202 Accepted"


def expositions() -> Mapping[str, str]:
    """Own metrics as the two processes write them."""
    hot = (
        "# TYPE tocsin_ingest_rejected_total counter\n"
        'tocsin_ingest_rejected_total{protocol="otlp_http",reason="too_large"} 3.0\n'
        'tocsin_ingest_rejected_total{protocol="remote_write",reason="bad_input"} 0.0\n'
        "# TYPE tocsin_ingest_points_dropped_total counter\n"
        'tocsin_ingest_points_dropped_total{reason="series_cap"} 1204.0\n'
        "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 2.1e8\n"
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.795188e9\n"
    )
    cold = "# TYPE tocsin_store_lag_entries gauge\ntocsin_store_lag_entries 12.0\n"
    return {"hot": hot, "cold": cold}


class FakeRouting:
    """Routing of this world: a rollout in its second phase, one schedule."""

    def __init__(self) -> None:
        self.phase = {"phase": 2, "since": NOW - 86_400 * NS, "by": "ann", "second": None, "third": NOW + 86_400 * NS}

    def route(self, incident: Incident) -> str:
        return "page" if incident.severity > 3 else "service.name=web"

    def next_level(self, incident: Incident) -> Row | None:
        open_now = incident.state.value == "open"
        return {"level": 2, "of": 3, "to": ["primary", "lead-phone"], "at": NOW + 600 * NS} if open_now else None

    def on_call(self, now: int) -> Sequence[Row]:
        return [{"schedule": "primary", "people": ["ann"], "to": ["pagerduty"]}]

    def rollout(self, now: int) -> Row:
        return self.phase

    def enter(self, phase: int, *, by: str, at: int) -> None:
        self.phase = {**self.phase, "phase": phase, "since": at, "by": by}


class FakeMaintenance:
    """Windows of this world: one that holds, one of the configuration; what is planned is kept."""

    def __init__(self, *, full: bool) -> None:
        row = {
            "id": "mnt-1", "by": "ann", "note": HOSTILE, "name": "move", "match": {"service.name": ["cart", HOSTILE]},
            "time_zone": "Europe/Berlin", "starts": "2026-11-23T10:30", "lasts_ns": 7200 * NS, "every": None,
            "calendar": False, "holds": True, "ends_at": NOW + 3600 * NS,
        }  # fmt: skip
        stated = {
            **row,
            "id": "",
            "by": "",
            "note": "",
            "name": "nightly",
            "every": "day",
            "holds": False,
            "ends_at": None,
        }
        self.rows = [row, stated] if full else []

    def all(self, tenant: str, now: int) -> Sequence[Row]:
        return self.rows if tenant == "main" else []

    def add(self, tenant: str, given: Row, *, by: str, note: str, at: int) -> Row:
        if given["starts"] == "tonight":
            raise BadInput("starts: 'tonight' is no time; write it like 2026-11-02T09:00")
        row = {
            **self.rows[-1],
            "every": None,
            **given,
            "id": f"mnt-{len(self.rows)}",
            "by": by,
            "note": note,
            "lasts_ns": NS,
        }
        self.rows = [row, *self.rows]
        return row

    def end(self, tenant: str, window_id: str, *, by: str, at: int) -> bool:
        kept = [each for each in self.rows if each["id"] != window_id]
        found, self.rows = len(kept) < len(self.rows), kept
        return found


def locked(header: str | None) -> Access | None:
    """Keys are needed: `reader`, `operator`, `boss`."""
    name = (header or "").removeprefix("Bearer ")
    return Access("main", frozenset({KEYS[name]}), name) if name in KEYS else None


SAYS = Summariser((guide(),))


def deps(*, full: bool = True, open_to_all: bool = True) -> Deps:
    """Ports of this world."""
    rows = rows_of_world() if full else FakeRows({})
    return Deps(
        telemetry=FakeTelemetry(full=full),
        state=FakeState(full=full),
        destinations=FakeDestinations(full=full),
        authorise=(lambda _: OPEN_ACCESS) if open_to_all else locked,
        clock=ManualClock(NOW),
        expositions=expositions if full else dict,
        traces=FakeTraces(full=full),
        calls=FakeCalls(full=full),
        summarise=lambda incident: SAYS.of(
            incident, FakeTraces(full=full).examples("main", ["support-bot"], 0, NOW, 0)
        ),
        unseen=lambda: ("Stolen credentials.", HOSTILE),
        machines=machines if full else lambda _: (),
        models=ModelHealth(rows, ManualClock(NOW)),
        experiments=Experiments(FakeTrials(rows)),
        groups=groups_of_world,
        routing=FakeRouting() if full else None,
        maintenance=FakeMaintenance(full=full),
        actions=FakeActions(ManualClock(NOW), full=full),
        backup=lambda: iter((b"tar", b"ball")),
        replays=FakeReplays(),
        version="0.1.0",
        poll_s=0.05,
        heartbeat_s=0.2,
    )
