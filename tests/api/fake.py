"""A small world behind the ports of the API: empty, or full of everything that a page can show."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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
from tocsin.model.access import OPEN_ACCESS, Access, Scope
from tocsin.model.clock import ManualClock
from tocsin.model.errors import BadInput, Retryable
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.incident import Cause, Change, Incident, IncidentState, Severity, incident_id
from tocsin.model.message import Message
from tocsin.model.series import Kind, Series, Signal

NS = 1_000_000_000
NOW = 1_795_275_000 * NS  # 2026-11-21 14:30 UTC
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> ${7*7} \u202e'
KEYS = {"reader": Scope.READ, "operator": Scope.OPERATE, "boss": Scope.ADMIN}

_SHAPES: dict[str, tuple[str, float, float, str]] = {
    # name: unit, level, rise in the story, service
    "gen_ai.client.operation.duration": ("s", 0.84, 1.9, "support-bot"),
    "gen_ai.usage.input_tokens": ("{token}", 1450.0, 4100.0, "support-bot"),
    "vllm:kv_cache_usage_perc": ("1", 0.46, 0.47, "vllm"),
    "DCGM_FI_DEV_FB_USED": ("MiBy", 41_200.0, 21_800.0, "gpu-node-2"),
    "vllm:num_requests_waiting": ("1", 1.2, 19.0, "vllm"),
    "system.memory.usage": ("By", 9.1e9, 0.4e9, "gpu-node-2"),
    "http.server.request.duration": ("s", 0.045, 0.0, "web"),
    "network.io": ("By/s", 3.4e6, 0.0, "web"),
}


def series_of(name: str) -> Series:
    """The series of a signal in this world."""
    unit, _, _, service = _SHAPES[name]
    return Series.of("main", Signal(name, unit, Kind.GAUGE), {"service.name": service, "region": "eu-1"})


def value_at(name: str, time: int) -> tuple[float, float, float]:
    """Value and band of a signal at a time: a wave, a wobble, and the story in the last 40 minutes."""
    _, level, rise, _ = _SHAPES[name]
    wave = level * (1 + 0.08 * math.sin(time / NS / 1700))
    wobble = level * 0.03 * math.sin(time / NS / 37) * math.cos(time / NS / 13)
    since = (time - (NOW - 40 * 60 * NS)) / (25 * 60 * NS)
    return wave + wobble + rise * min(1.0, max(0.0, since)), wave * 0.92, wave * 1.08


def line_of(name: str, start: int, end: int, n: int, monitor: str = "") -> Line:
    """A line of `n` values, with band when a monitor is named."""
    found = series_of(name)
    step = max(NS, (end - start) // max(1, n))
    times = list(range(start, end, step))[:n]
    values = [value_at(name, time) for time in times]
    shown: list[float | None] = [None if 40 <= i < 43 else v[0] for i, v in enumerate(values)]
    return Line(
        series_id=found.id.hex(),
        signal=name,
        unit=found.signal.unit,
        labels=dict(found.labels),
        time=times,
        value=shown,
        lower=[v[1] for v in values] if monitor else (),
        upper=[v[2] for v in values] if monitor else (),
        log10_p=[-1.0 if v[1] <= v[0] <= v[2] else -9.0 for v in values] if monitor else (),
        monitor=monitor,
    )


def finding_of(name: str, start: int, value: float, band: tuple[float, float], log10_p: float) -> Finding:
    """A finding about one signal of this world."""
    found = series_of(name)
    monitor = f"{name.rsplit('.', 1)[-1].rsplit(':', 1)[-1].lower().replace('_', '-')}"
    return Finding(
        id=finding_id("main", monitor, found.id, start),
        phase=Phase.UPDATE,
        tenant="main",
        monitor=monitor,
        series=found,
        start=start,
        end=NOW - 30 * NS,
        time=NOW - 30 * NS,
        value=value,
        expected=band,
        log10_p=log10_p,
        n_eff=8640,
        level=-7.4,
        direction="up",
        evidence={"windows": 14.0, "lead_s": 90.0, "note": HOSTILE[:40]},
    )


def story() -> Incident:
    """The incident of the chatbot: prompt, tokens, latency, GPU memory."""
    findings = (
        finding_of("gen_ai.usage.input_tokens", NOW - 38 * 60 * NS, 5544, (1331, 1570), -31.2),
        finding_of("gen_ai.client.operation.duration", NOW - 33 * 60 * NS, 2.74, (0.77, 0.91), -18.6),
        finding_of("vllm:kv_cache_usage_perc", NOW - 30 * 60 * NS, 0.93, (0.42, 0.5), -12.0),
        finding_of("vllm:num_requests_waiting", NOW - 27 * 60 * NS, 20.0, (0, math.nan), -9.9),
        finding_of("DCGM_FI_DEV_FB_USED", NOW - 22 * 60 * NS, 62_900, (37_900, 44_500), -8.8),
    )
    return Incident(
        id=incident_id("main", findings[0].id),
        tenant="main",
        title="support-bot: input tokens per call 5,544, expected 1,331 to 1,570",
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        severity_arithmetic="users high (latency x3.1 on 100 % of calls) -> error; 5 signals on 3 entities +1 -> critical",
        findings=findings,
        causes=(
            Cause(
                "prompt",
                "support-bot",
                "prompt version answer-v7 replaced answer-v6",
                0.86,
                (
                    "first seen 2 min before the first finding",
                    "calls with answer-v7 carry 3.8x the input tokens",
                    "every slow call uses answer-v7",
                ),
            ),
            Cause(
                "deploy",
                "web",
                f"deploy web 2026.11.21-3 {HOSTILE}",
                0.09,
                ("4 min before the first finding",),
                ("no edge leads from web to support-bot", "signals of web did not move"),
            ),
            Cause(
                "flag", "checkout", "flag new-basket on", 0.05, (), ("another service", "8 min before, nothing moved")
            ),
        ),
        changes=(
            Change(NOW - 46 * 60 * NS, "flag", "checkout", "new-basket on", "flagd"),
            Change(NOW - 42 * 60 * NS, "deploy", "web", f"2026.11.21-3 {HOSTILE}", "ci"),
            Change(NOW - 40 * 60 * NS, "prompt", "support-bot", "answer-v6 -> answer-v7", "spans"),
        ),
        entities=("support-bot", "vllm", "gpu-node-2"),
        opened_at=NOW - 36 * 60 * NS,
        updated_at=NOW - 60 * NS,
        resolved_at=None,
        dedup_key="main/support-bot/input-tokens",
        statement="Calls of support-bot carry 3.8 times the input tokens since prompt answer-v7 (13:50). Latency, KV cache and GPU memory followed.",
        impact={"users": "high", "calls_affected_ratio": 1.0},
    )


def others() -> list[Incident]:
    """A warning with a hostile title, an acknowledged one, a resolved one."""
    base = story()
    shapes = (
        (f"New log pattern {HOSTILE} failed", IncidentState.OPEN, Severity.WARNING, 90, None),
        ("gpu-node-1: temperature 84, expected 61 to 70", IncidentState.ACKNOWLEDGED, Severity.ERROR, 200, None),
        ("web: error ratio 3.1 %, expected below 0.8 %", IncidentState.RESOLVED, Severity.ERROR, 400, 350),
        ("db: " + "a-very-long-name-without-any-space-" * 6, IncidentState.RESOLVED, Severity.INFO, 800, 790),
    )
    found = []
    for title, state, severity, opened, resolved in shapes:
        one = finding_of("http.server.request.duration", NOW - opened * 60 * NS, 0.2, (0.04, 0.05), -8.1)
        found.append(
            replace(
                base,
                id=incident_id("main", one.id),
                title=title,
                statement=f"{title}.",
                state=state,
                severity=severity,
                findings=(one,),
                causes=(Cause("unknown", "web", "nothing known changed before it", 0.2),),
                changes=(),
                entities=("web",),
                opened_at=NOW - opened * 60 * NS,
                updated_at=NOW - (opened - 10) * 60 * NS,
                resolved_at=None if resolved is None else NOW - resolved * 60 * NS,
            )
        )
    return found


class FakeTelemetry:
    """The telemetry store of this world."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def signals(self, tenant: str, search: str, entity: str, limit: int) -> Sequence[Row]:
        rows = [
            {"name": name, "unit": shape[0], "kind": "gauge", "series": 1, "last_time": NOW - 4 * NS}
            for name, shape in _SHAPES.items()
        ]
        rows.append({"name": HOSTILE, "unit": "1", "kind": "sum", "series": 3, "last_time": NOW - 900 * NS})
        kept = [row for row in rows if search.casefold() in str(row["name"]).casefold()]
        if entity:
            kept = [row for row in kept if _SHAPES.get(str(row["name"]), ("", 0, 0, ""))[3] == entity]
        return kept[:limit] if self.full else []

    def series(self, tenant: str, signal: str, where: Where, limit: int) -> Sequence[Row]:
        if not self.full or signal not in _SHAPES:
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

    def points(self, tenant: str, signal: str, where: Where, start: int, end: int, max_points: int) -> Sequence[Line]:
        return [line_of(signal, start, end, min(max_points, 300))] if self.full and signal in _SHAPES else []

    def panes(self, tenant: str, monitor: str, series_id: str, start: int, end: int, max_points: int) -> Sequence[Line]:
        if not self.full:
            return []
        return [
            line_of(name, start, end, min(max_points, 300), monitor or "baseline")
            for name in _SHAPES
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
            for name in _SHAPES
        ]
        return [row for row in rows if not state or row["state"] == state][:limit] if self.full else []

    def learning(self, tenant: str) -> Learning:
        return Learning(warm=38, learning=4, first_at=NOW - 86400 * NS) if self.full else Learning()

    def export(
        self, kind: str, tenant: str, *, signal: str, where: Where, start: int, end: int, form: ExportFormat
    ) -> Iterator[bytes]:
        if kind == "records" and form == "parquet":
            raise BadInput("records have no parquet here")
        rows = [{"time": "2026-11-21T14:00:00Z", "signal": name, "value": 1.5} for name in _SHAPES]
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


def locked(header: str | None) -> Access | None:
    """Keys are needed: `reader`, `operator`, `boss`."""
    name = (header or "").removeprefix("Bearer ")
    return Access("main", frozenset({KEYS[name]}), name) if name in KEYS else None


def deps(*, full: bool = True, open_to_all: bool = True) -> Deps:
    """Ports of this world."""
    return Deps(
        telemetry=FakeTelemetry(full=full),
        state=FakeState(full=full),
        destinations=FakeDestinations(full=full),
        authorise=(lambda _: OPEN_ACCESS) if open_to_all else locked,
        clock=ManualClock(NOW),
        expositions=expositions if full else dict,
        backup=lambda: iter((b"tar", b"ball")),
        version="0.1.0",
        poll_s=0.05,
        heartbeat_s=0.2,
    )
