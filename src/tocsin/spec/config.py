"""`Config`: all of tocsin.yaml, and what of it the engine is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from tocsin.spec.ab import AbSpec
from tocsin.spec.calendar import CalendarSpec
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.destination import DestinationSpec, RouteSpec
from tocsin.spec.drift import DriftSpec, NotifyAction
from tocsin.spec.engine import EngineSpec
from tocsin.spec.fairness import FairnessSpec
from tocsin.spec.health import PAGERS, READERS, HealthSpec
from tocsin.spec.joint import InventorySpec
from tocsin.spec.llm import LlmSpec
from tocsin.spec.logs import LogsSpec
from tocsin.spec.loss import LossSpec, ObjectiveSpec, SeveritySpec
from tocsin.spec.monitor import SECOND, MonitorSpec, Spec
from tocsin.spec.pack import FamilySpec, PackSpec
from tocsin.spec.playbook import PlaybookSpec, RemediationSpec, playbook_faults
from tocsin.spec.problem import nearest
from tocsin.spec.quantity import Bytes, DurationNs
from tocsin.spec.routing import (
    FlappingSpec,
    InhibitSpec,
    MaintenanceSpec,
    OnCallSpec,
    PersonSpec,
    ReviewSpec,
    RolloutSpec,
    TicketSpec,
)
from tocsin.spec.routing_faults import routing_faults
from tocsin.spec.scores import ScoresSpec
from tocsin.spec.source import SourceSpec, WebhookSource
from tocsin.spec.spend import MOST_BUDGETS, BudgetSpec
from tocsin.spec.stores import StateSpec, TelemetrySpec
from tocsin.spec.summaries import SummariesSpec
from tocsin.spec.team import TeamSpec
from tocsin.spec.text import HttpUrl, Network, Pattern
from tocsin.spec.topology import MOST_RUNBOOKS, RunbookSpec, TopologySpec
from tocsin.spec.tree import Loc
from tocsin.spec.wire import WebhookSpec

Fault: TypeAlias = tuple[Loc, str]
DAY = 86_400 * SECOND


class ContextSpec(Spec):
    """A provider's status page (its `summary.json`); what changes there is a change event of the kind dependency.

    `entity` is what of yours depends on it, as telemetry names it (`api.openai.com`); without one, anything may.
    """

    name: str
    type: Literal["status_page"]
    url: HttpUrl
    entity: str = ""
    interval: DurationNs = Field(default=60 * SECOND, ge=10 * SECOND)
    allow: list[Network] = []  # private addresses that this one may reach


class RetentionSpec(Spec):
    """How long each kind of stored row is kept."""

    points: DurationNs = Field(default=30 * DAY, ge=3600 * SECOND)
    spans: DurationNs = Field(default=7 * DAY, ge=3600 * SECOND)
    logs: DurationNs = Field(default=7 * DAY, ge=3600 * SECOND)
    panes: DurationNs = Field(default=30 * DAY, ge=3600 * SECOND)


class LimitsSpec(Spec):
    """Bounds on what is taken in and kept."""

    series_per_source: int = Field(default=100_000, ge=1)
    series_per_tenant: int = Field(default=1_000_000, ge=1)
    body_bytes: Annotated[Bytes, Field(ge=1024, le=1 << 30)] = 20 << 20
    in_flight_bytes: Annotated[Bytes, Field(ge=1024)] = 256 << 20  # of all requests that are being read
    log_bytes: Annotated[Bytes, Field(ge=16 << 20)] = 4 << 30  # each of the two logs on disk
    retention: RetentionSpec = RetentionSpec()


class RedactionRule(Spec):
    """What matches `pattern` (RE2) in any text is stored as `replacement`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    pattern: Pattern
    replacement: str = "[redacted]"


class RedactionSpec(Spec):
    """What is taken out of texts before anything is stored; prompts and completions are not kept unless asked."""

    keep_content: bool = False
    rules: list[RedactionRule] = []


class Config(Spec):
    """All of tocsin.yaml; empty is a good one."""

    sources: list[SourceSpec] = []
    monitors: list[MonitorSpec] = []
    calendars: list[CalendarSpec] = []
    families: list[FamilySpec] = []
    drift: list[DriftSpec] = []
    inventory: list[InventorySpec] = []
    topology: TopologySpec = TopologySpec()
    runbooks: Annotated[list[RunbookSpec], Field(max_length=MOST_RUNBOOKS)] = []
    fairness: list[FairnessSpec] = []
    ab: list[AbSpec] = []
    destinations: list[DestinationSpec] = []
    routes: list[RouteSpec] = []
    people: list[PersonSpec] = []
    oncall: list[OnCallSpec] = []
    maintenance: list[MaintenanceSpec] = []
    inhibit: list[InhibitSpec] = []
    flapping: FlappingSpec = FlappingSpec()
    tickets: list[TicketSpec] = []
    rollout: RolloutSpec | None = None
    review: ReviewSpec = ReviewSpec()
    teams: list[TeamSpec] = []
    context: list[ContextSpec] = []
    remediation: RemediationSpec = RemediationSpec()
    playbooks: list[PlaybookSpec] = []
    limits: LimitsSpec = LimitsSpec()
    cluster: ClusterSpec | None = None
    redaction: RedactionSpec = RedactionSpec()
    severity: SeveritySpec = SeveritySpec()
    objectives: list[ObjectiveSpec] = []
    scores: ScoresSpec = ScoresSpec()
    health: HealthSpec = HealthSpec()
    llm: LlmSpec = LlmSpec()
    logs: LogsSpec = LogsSpec()
    summaries: SummariesSpec = SummariesSpec()
    budgets: Annotated[list[BudgetSpec], Field(max_length=MOST_BUDGETS)] = []
    state: StateSpec = StateSpec()
    telemetry: TelemetrySpec = TelemetrySpec()
    lateness: DurationNs = Field(default=0, ge=0, le=DAY)
    absorb_after: DurationNs = Field(default=DAY, ge=0, le=30 * DAY)  # 0: never
    health_check_interval: DurationNs = Field(default=10 * SECOND, ge=SECOND, le=3600 * SECOND)
    dry_run: bool = False

    def engine_spec(self, packs: Sequence[PackSpec] = ()) -> EngineSpec:
        """What the engine is told; what no team owns has the budget of the team without `owns`, if there is one."""
        budgets = [team.false_pages_per_week for team in self.teams if not team.owns]
        rest = {"false_pages_per_week": min(budgets)} if budgets else {}
        tables = [calendar.table() for calendar in self.calendars]
        return EngineSpec.model_validate(
            {
                "monitors": self.monitors,
                "packs": list(packs),
                "calendars": tables,
                "teams": self.teams,
                "families": self.families,
                "drift": [each.bare() for each in self.drift],
                "models": self.llm.models,
                "budgets": self.budgets,
                "inventory": self.inventory,
                "topology": self.topology,
                "runbooks": self.runbooks,
                "absorb_after": f"{self.absorb_after}ns",
                **rest,
            }
        )

    @property
    def loss(self) -> LossSpec:
        """All that the loss of an incident is reckoned by."""
        return LossSpec(severity=self.severity, objectives=self.objectives)

    def outgoing(self) -> list[DestinationSpec]:
        """Everything that is called: the destinations, and the addresses that drift policies call."""
        calls = {call.name: call for policy in self.drift for call in policy.calls()}
        return [*self.destinations, *calls.values()]

    def digest_to(self) -> list[str]:
        """Names of the destinations that get the digest of a day."""
        if self.health.digest is not None:
            return list(dict.fromkeys(self.health.digest))
        return [each.name for each in self.destinations if each.type in READERS]

    def faults(self, packs: Sequence[PackSpec] = ()) -> Iterator[Fault]:
        """What no single part can know to be wrong: names that are taken, or that nothing has."""
        for key in (
            "sources",
            "monitors",
            "calendars",
            "destinations",
            "objectives",
            "people",
            "oncall",
            "maintenance",
            "tickets",
            "teams",
            "context",
            "playbooks",
            "budgets",
        ):
            yield from _twice(key, [part.name for part in getattr(self, key)])
        destinations = [destination.name for destination in self.destinations]
        for loc, names in self._sent_to():
            for index, name in enumerate(names):
                if name not in destinations:
                    yield (*loc, index), f"no destination is called `{name}`{_known(name, destinations)}"
        targets = [target.name for target in self.scores.remote_write]
        yield from ((("scores", *loc), text) for loc, text in _twice("remote_write", targets))
        yield from self._webhook_faults({webhook.name: webhook for pack in packs for webhook in pack.webhooks})
        yield from self._severity_faults()
        yield from routing_faults(self)
        yield from self._health_faults()
        calendars = [calendar.name for calendar in self.calendars]
        for number, monitor in enumerate(self.monitors):
            if monitor.calendar is not None and monitor.calendar not in calendars:
                loc = ("monitors", number, "calendar")
                yield loc, f"no calendar is called `{monitor.calendar}`{nearest(monitor.calendar, calendars)}"
        if self.limits.in_flight_bytes < self.limits.body_bytes:
            yield ("limits", "in_flight_bytes"), "`in_flight_bytes` must hold at least one body of `body_bytes`"
        monitors = [monitor.name for monitor in self.engine_spec(packs).all_monitors()]
        yield from self._judge_faults()
        contexts = [page.name for page in self.context]
        yield from playbook_faults(
            self.playbooks, self.remediation, monitors if packs else None, destinations, contexts
        )

    def _judge_faults(self) -> Iterator[Fault]:
        if self.llm.judge is not None and not self.redaction.keep_content:
            text = "a judge reads questions and answers, and they are not kept; set `redaction.keep_content`"
            yield ("llm", "judge"), text

    def _webhook_faults(self, known: Mapping[str, WebhookSpec]) -> Iterator[Fault]:
        for number, source in enumerate(self.sources):
            if not isinstance(source, WebhookSource) or not known:
                continue
            of = known.get(source.format)
            if of is None and not source.changes:
                text = f"no pack knows webhooks of `{source.format}`{nearest(source.format, known)}; or say in `changes` what is one"
                yield ("sources", number, "format"), text
            elif source.secret and source.signature is None and (of is None or of.signature is None):
                text = (
                    f"nothing says how `{source.format}` signs: name the header in `signature`, or send a key instead"
                )
                yield ("sources", number, "secret"), text

    def _severity_faults(self) -> Iterator[Fault]:
        if self.severity.critical <= self.severity.warning:
            yield ("severity", "critical"), "`critical` must be above `warning`"

    def _health_faults(self) -> Iterator[Fault]:
        kinds = {destination.name: destination.type for destination in self.destinations}
        for index, name in enumerate(self.health.digest or []):
            if kinds.get(name) in PAGERS:
                yield ("health", "digest", index), f"`{name}` would make an alert of a digest; send it to people"
        first: set[tuple[str, str]] = set()
        for index, term in enumerate(self.health.terms):
            if (term.of, term.name) in first:
                yield ("health", "terms", index, "name"), f"`{term.of}` already has a term `{term.name}`"
            first.add((term.of, term.name))

    def cautions(self) -> Iterator[Fault]:
        """What is understood and kept but has no effect in this build."""
        if self.playbooks and not self.remediation.enabled:
            yield ("playbooks",), "nothing is done: playbooks act only where `remediation: {enabled: true}` allows it"

    def _sent_to(self) -> Iterator[tuple[Loc, list[str]]]:
        yield ("health", "digest"), self.health.digest or []
        for number, drift in enumerate(self.drift):
            for index, action in enumerate(drift.actions):
                if isinstance(action, NotifyAction):
                    yield ("drift", number, "actions", index, "to"), action.to


def _known(name: str, destinations: Iterable[str]) -> str:
    return nearest(name, destinations) or "; there are none yet: add it under `destinations:`"


def _twice(key: str, names: Sequence[str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in first:
            yield (key, number, "name"), f"the name `{name}` is already taken by number {first[name] + 1} under `{key}`"
        first.setdefault(name, number)
