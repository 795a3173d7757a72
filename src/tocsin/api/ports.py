"""What the control API needs from the rest of the cold process, as ports that `app` fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from tocsin.api.action_ports import Actions
from tocsin.api.call_ports import Calls
from tocsin.api.model_ports import LiveExperiments, Models
from tocsin.api.origin import LOOPBACK_HOSTS
from tocsin.api.replay_ports import Replays
from tocsin.api.retraining_ports import Retraining
from tocsin.api.routing_ports import Maintenance, Routing
from tocsin.api.session_ports import SessionBook
from tocsin.api.trace_ports import Traces
from tocsin.incident.severity import finding_severity
from tocsin.model.access import Authorise
from tocsin.model.clock import Clock
from tocsin.model.decision import Applied, Feedback, Silence, TrailPart, Verdict
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, IncidentState, Severity
from tocsin.model.message import Message
from tocsin.model.summary import UNSAID, Summary
from tocsin.model.transition import Regroup
from tocsin.spec.team import TeamSpec
from tocsin.stats.alike import Groups, by_words

Row: TypeAlias = Mapping[str, object]
Where: TypeAlias = Mapping[str, str]
Action: TypeAlias = Literal["ack", "resolve"]
ExportFormat: TypeAlias = Literal["jsonl", "csv", "parquet", "sql"]


@dataclass(frozen=True, slots=True)
class Line:
    """One series as a chart draws it; times are ns, every list is (n,), None = no value.

    `lower`, `upper` and `log10_p` are empty where no monitor watches the series.
    """

    series_id: str
    signal: str
    unit: str
    labels: Mapping[str, str]
    time: Sequence[int]
    value: Sequence[float | None]
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()
    log10_p: Sequence[float | None] = ()
    monitor: str = ""


@dataclass(frozen=True, slots=True)
class Learning:
    """How far the monitors are: series that give verdicts and series that still learn."""

    warm: int = 0
    learning: int = 0
    first_at: int | None = None


@dataclass(frozen=True, slots=True)
class StripRow:
    """Worst log10 p per time bucket of one service, (buckets,), None = nothing judged."""

    name: str
    worst: Sequence[float | None]


class Telemetry(Protocol):
    """The telemetry store, as far as pages read it; every call is of one tenant."""

    def signals(self, tenant: str, search: str, entity: str, limit: int) -> Sequence[Row]:
        """Rows `name, unit, kind, series, last_time`; `entity` keeps those that this service or host has."""

    def series(self, tenant: str, signal: str, where: Where, limit: int) -> Sequence[Row]:
        """Rows `id, labels, unit, last_time, last_value, state, since, cadence`."""

    def points(
        self, tenant: str, signal: str, where: Where, start: int, end: int, max_points: int, series_id: str = ""
    ) -> Sequence[Line]:
        """Raw values of matching series, or of the one named, in [start, end), thinned to `max_points` each."""

    def panes(self, tenant: str, monitor: str, series_id: str, start: int, end: int, max_points: int) -> Sequence[Line]:
        """Closed windows with their expected band; an empty `monitor` or `series_id` matches all."""

    def strip(self, tenant: str, start: int, end: int, buckets: int, by: str) -> Sequence[StripRow]:
        """Worst log10 p per value of label `by` and time bucket."""

    def events(self, tenant: str, start: int, end: int, limit: int) -> Sequence[Row]:
        """Change events, newest first: `time, kind, entity, what, source`."""

    def logs(
        self, tenant: str, where: Where, start: int, end: int, limit: int, *, search: str = "", least: int = 0
    ) -> Sequence[Row]:
        """Log lines in [start, end), newest first; `least` is the lowest severity number."""

    def log_templates(
        self, tenant: str, start: int, end: int, service: str, *, search: str = "", limit: int = 200
    ) -> Sequence[Row]:
        """Templates of the lines in [start, end) with `records, before, errors, first_time, last_time, sample`, by service."""

    def states(self, tenant: str) -> Mapping[str, int]:
        """Number of series in each state (live, absent, zero, late, stale, reset)."""

    def series_states(self, tenant: str, state: str, limit: int) -> Sequence[Row]:
        """Series in one state (any when empty): `id, signal, labels, state, time, since, cadence`."""

    def learning(self, tenant: str) -> Learning:
        """How many watched series give verdicts yet."""

    def export(
        self, kind: str, tenant: str, *, signal: str, where: Where, start: int, end: int, form: ExportFormat
    ) -> Iterator[bytes]:
        """Everything stored of one kind, in chunks.

        Raises
        ------
        BadInput
            Nobody knows this kind.
        """


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One step in the life of an incident; `seq` only grows and numbers the SSE events."""

    seq: int
    time: int
    incident_id: str
    kind: str
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A message that went, or will go, to a destination."""

    message: Message
    state: str
    sent_at: int | None = None
    error: str = ""


class State(Protocol):
    """The state store, as far as pages read and act on it."""

    def incidents(self, tenant: str, states: frozenset[IncidentState], since: int, limit: int) -> Sequence[Incident]:
        """Incidents in these states, updated since a time, newest first."""

    def incident(self, tenant: str, incident_id: str) -> Incident | None:
        """One incident, or None."""

    def incident_events(self, tenant: str, incident_id: str) -> Sequence[IncidentEvent]:
        """The life of one incident, oldest first."""

    def events_after(self, tenant: str, seq: int, limit: int) -> Sequence[IncidentEvent]:
        """Events of all incidents numbered above `seq`, in order."""

    def last_seq(self, tenant: str) -> int:
        """Number of the newest event, 0 before the first."""

    def pages(self, tenant: str, incident_id: str) -> Sequence[Page]:
        """What was sent about an incident, and what waits."""

    def act(self, tenant: str, incident_id: str, action: Action, *, by: str, note: str, at: int) -> Incident | None:
        """Acknowledge or resolve; None: no such incident. Repeating an action changes nothing."""

    def regroup(self, tenant: str, incident_id: str, change: Regroup, *, by: str, at: int) -> bool:
        """Merge an incident into another, or split findings off; False: no such incident."""

    def add_feedback(
        self, tenant: str, incident_id: str, verdict: Verdict, *, by: str, at: int, note: str = ""
    ) -> bool:
        """Record what a person said of an incident; False: no such incident."""

    def feedback(self, tenant: str, incident_id: str) -> Sequence[Feedback]:
        """What people said of an incident, oldest first."""

    def add_silence(self, silence: Silence) -> None:
        """Add a silence, with its entry in the audit trail."""

    def end_silence(self, tenant: str, silence_id: str, *, by: str, at: int) -> Silence | None:
        """End a silence now; None: no such silence."""

    def silences(self, tenant: str, now: int) -> Sequence[Silence]:
        """Silences in force at `now`, the one that ends first before the others."""

    def past_silences(self, tenant: str, now: int, limit: int) -> Sequence[Silence]:
        """Silences that are over at `now`, the latest first."""

    def configurations(self, limit: int) -> Sequence[Applied]:
        """Configurations that were in force, newest first."""

    def audit(self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object], at: int) -> None:
        """Append to the audit trail."""

    def audit_trail(self, tenant: str, limit: int, part: TrailPart) -> Sequence[Row]:
        """Rows `seq, time, actor, action, subject, detail, previous, sha256`, newest first."""

    def audit_actions(self, tenant: str) -> Sequence[str]:
        """Every action of which there is an entry, by name."""

    def verify_audit(self) -> int:
        """Number of entries of the whole trail, all checked.

        Raises
        ------
        Corrupt
            An entry was changed, removed or put in between.
        """


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """A destination as the status page shows it; never carries a credential."""

    name: str
    type: str
    target: str = ""
    dry_run: bool = False
    pending: int = 0
    failed: int = 0
    last_ok_at: int | None = None
    last_error: str = ""


class Destinations(Protocol):
    """The configured destinations."""

    def all(self, tenant: str) -> Sequence[DestinationStatus]:
        """All destinations with what is known of them."""

    def test(self, tenant: str, name: str) -> str:
        """Send a test message now and say in words what came back.

        Raises
        ------
        Retryable, Refused, Unreachable
            It did not arrive, and why.
        """


def _no_text() -> Mapping[str, str]:
    return {}


def _no_days(_: str) -> Sequence[Row]:
    return ()


def _no_notices(_: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything the control API is built from.

    `expositions` gives the Prometheus text of each process by name; the health of Tocsin itself is read from it.
    `unseen` says what no telemetry can show; `summarise` says an incident in sentences with their sources;
    `alike` groups texts that say nearly the same; `notices` says in words which caps a tenant has reached; `grade_finding` gives the severity of a single finding; `teams` are those in force;
    `models` is None where no inference records are kept, `traces` and `calls` where no spans are; `machines` gives hosts with their devices; `days` gives the health of each day of a tenant, the oldest first; `groups` how the
    groups of a tenant's model, by a tag, were treated over time;
    `sessions` is None where those of browsers are kept in memory; `config_faults` says what is wrong with a changed file of configuration that therefore has no effect.
    `allowed_hosts` are the host names (without port) it answers to, None for any (binds that need a key).
    """

    telemetry: Telemetry
    state: State
    destinations: Destinations
    authorise: Authorise
    clock: Clock
    sessions: SessionBook | None = None
    expositions: Callable[[], Mapping[str, str]] = _no_text
    notices: Callable[[str], Sequence[str]] = _no_notices
    config_faults: Callable[[], Sequence[str]] = tuple
    grade_finding: Callable[[Finding], Severity] = finding_severity
    unseen: Callable[[], Sequence[str]] = tuple
    summarise: Callable[[Incident], Summary] = lambda _: UNSAID
    alike: Callable[[Sequence[str]], Groups] = by_words
    teams: Callable[[], Sequence[TeamSpec]] = tuple
    routing: Routing | None = None
    maintenance: Maintenance | None = None
    retraining: Retraining | None = None
    ready: Callable[[], Sequence[str]] = field(default=list)
    models: Models | None = None
    traces: Traces | None = None
    calls: Calls | None = None
    machines: Callable[[str], Sequence[Mapping[str, Any]]] | None = None
    days: Callable[[str], Sequence[Row]] = _no_days
    experiments: LiveExperiments | None = None
    groups: Callable[[str, str, str], Row] | None = None
    actions: Actions | None = None
    backup: Callable[[], Iterator[bytes]] | None = None
    replays: Replays | None = None
    allowed_hosts: frozenset[str] | None = LOOPBACK_HOSTS
    version: str = ""
    base_url: str = "http://127.0.0.1:8642"
    poll_s: float = 0.5
    heartbeat_s: float = 15.0
    max_streams: int = 64
