"""The stores of an installation as pages and API of a replica want them: read, and never written but for who is signed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, NoReturn

from tocsin.api.action_ports import Word
from tocsin.api.examples import examples_of
from tocsin.api.origin import LOOPBACK_HOSTS
from tocsin.api.ports import Deps
from tocsin.app.actions_seen import ActionsSeen
from tocsin.app.backtest.service import Backtests
from tocsin.app.keys import KeyRing
from tocsin.app.machines import Machines
from tocsin.app.maintenance import MaintenanceView
from tocsin.app.meaning import Meaning
from tocsin.app.model_health.day_book import DayBook
from tocsin.app.model_health.experiments import Experiments
from tocsin.app.model_health.group_watch import GroupWatch
from tocsin.app.model_health.view import ModelHealth
from tocsin.app.reload import ConfigFile
from tocsin.app.replays.ports import Replays
from tocsin.app.replica.heard import DestinationsHeard, Heard
from tocsin.app.routing import RoutingView, rota_of, rules_of
from tocsin.app.sessions import KeptSessions
from tocsin.app.settings import ServeSettings
from tocsin.app.stores import cluster_of, open_telemetry, state_place, warn_of_move
from tocsin.app.summaries import Summaries
from tocsin.app.views import StateView, TelemetryView
from tocsin.incident.policy import Policy
from tocsin.incident.severity import finding_severity
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig, Unreachable
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, Severity
from tocsin.model.remedy import Remedy, Switch
from tocsin.selfmon.metrics import exposition
from tocsin.spec.config import Config
from tocsin.spec.pack import PackSpec
from tocsin.spec.packs import unseen
from tocsin.store.experiment_rows import ExperimentRows
from tocsin.store.group_rows import GroupRows
from tocsin.store.health_rows import HealthRows
from tocsin.store.history_rows import HistoryRows
from tocsin.store.latest_rows import LatestRows
from tocsin.store.llm_rows import LlmRows
from tocsin.store.model_rows import ModelRows
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.trace_rows import TraceRows

NO_STATE = (
    "a replica reads the state of others, and this configuration keeps it in a file of one machine; name a PostgreSQL"
    " with `state: {url: postgresql://...}` or TOCSIN_STATE_URL (docs/stores.md)"
)
NO_TELEMETRY = (
    "a replica reads the telemetry of others, and this configuration keeps it in a directory that only one process may"
    " open; name a ClickHouse cluster with `telemetry: {url: clickhouse://..., cluster: NAME}` (docs/stores.md)"
)


def _not_here(*_: object, **__: object) -> NoReturn:
    raise Unreachable("control does this, not a replica")


class ActionsElsewhere(ActionsSeen):
    """`tocsin.api.action_ports.Actions` of a process that carries none."""

    def stop(self, *, stopped: bool, by: str, note: str) -> Switch:
        """Not from here."""
        _not_here(stopped, by, note)

    def say(self, tenant: str, remedy_id: str, word: Word, *, by: str, note: str) -> Remedy | None:
        """Not from here."""
        _not_here(tenant, remedy_id, word, by, note)

    def propose(self, tenant: str, incident_id: str, playbook: str, *, by: str, note: str) -> Remedy | None:
        """Not from here."""
        _not_here(tenant, incident_id, playbook, by, note)


class RoutingSeen:
    """`tocsin.api.routing_ports.Routing` by the configuration, by what people said, and by what control told last."""

    def __init__(self, file: ConfigFile, state: StateStore, heard: Heard) -> None:
        self._file, self._state, self._heard = file, state, heard

    def _now(self) -> RoutingView:
        """The view of this moment: what people say is said to control, and read anew each time."""
        config = self._file.config
        policy = Policy(rules_of(config), rota=rota_of(config))
        return RoutingView(lambda: config, self._state, policy)

    def route(self, incident: Incident) -> str:
        """The route that an incident takes."""
        return self._now().route(incident)

    def next_level(self, incident: Incident) -> Mapping[str, Any] | None:
        """Who is told next unless somebody acknowledges an incident."""
        return self._heard.level(incident.id)

    def on_call(self, now: int) -> Sequence[Mapping[str, Any]]:
        """Who is on call now, by schedule."""
        return self._now().on_call(now)

    def rollout(self, now: int) -> Mapping[str, Any]:
        """The phase of the rollout."""
        return self._now().rollout(now)

    def enter(self, phase: int, *, by: str, at: int) -> None:
        """Not from here."""
        _not_here(phase, by, at)


class Reading:
    """Everything a replica holds together.

    Raises
    ------
    BadConfig
        Its stores are files of one machine.
    Unreachable, Corrupt
        See `StateStore`, `TelemetryStore`.
    """

    def __init__(
        self, settings: ServeSettings, file: ConfigFile, packs: Sequence[PackSpec], env: Mapping[str, str], clock: Clock
    ) -> None:
        self.settings, self.file, self.packs, self.clock = settings, file, packs, clock
        config = file.config
        place = state_place(config, env, settings.data_dir)
        if place.embedded:
            raise BadConfig(NO_STATE)
        if cluster_of(config, env) is None:
            raise BadConfig(NO_TELEMETRY)
        self.began_with = config
        self.telemetry: TelemetryStore = open_telemetry(config, env, settings.data_dir, read_only=True)
        self.state = place.open()
        self.keys = KeyRing(settings.keys_path, clock, open_access=settings.open_access)
        self.heard = Heard(self.state)
        db, empty = self.telemetry.db, b""
        self.traces = TraceRows(db)
        examples = partial(examples_of, self.traces)
        self.summaries = Summaries(self.packs, config, self.state, empty, clock, examples)  # asks no model: no key
        self.meaning = Meaning(config, settings.config_path)
        self.days = DayBook(HealthRows(db), self.state, self.packs, config, clock, _not_here)
        self.groups = GroupWatch(GroupRows(db), self.state, list, self.packs, config, clock, _not_here)
        backtests = Backtests(HistoryRows(db), self.state, self.packs, _not_here)
        self.replays = Replays(
            settings, self.file, self.state, backtests, clock, env=env, packs=self.packs, send=_not_here
        )

    def adopt(self, config: Config) -> None:
        """Put a configuration into force."""
        warn_of_move(self.began_with, config)
        self.summaries.adopt(config)
        self.meaning.adopt(config)
        self.days.adopt(config)
        self.groups.adopt(config)

    def close(self) -> None:
        """Close the stores."""
        self.telemetry.close()
        self.state.close()

    def _config(self) -> Config:
        return self.file.config

    def _grade(self, finding: Finding) -> Severity:
        return finding_severity(finding, self.file.config.severity)

    def _expositions(self) -> dict[str, str]:
        return {**self.heard.expositions(), "replica": exposition().decode()}

    def deps(self) -> Deps:
        """What the control API is built from."""
        guarded = self.settings.open_access and not self.settings.insecure
        db, config = self.telemetry.db, self._config
        return Deps(
            telemetry=TelemetryView(self.telemetry, self.state),
            state=StateView(self.state, _not_here, _not_here, _not_here),
            traces=self.traces,
            calls=LlmRows(db, self.packs, lambda: config().budgets),
            machines=Machines(LatestRows(db), self.packs, lambda: config().inventory, self.clock).hosts,
            models=ModelHealth(ModelRows(db), self.clock, policies=lambda: config().drift),
            days=self.days.days,
            groups=self.groups.shown,
            experiments=Experiments(ExperimentRows(db)),
            destinations=DestinationsHeard(self.heard, self.state),
            summarise=self.summaries.whole,
            alike=self.meaning.groups,
            unseen=lambda: unseen(self.packs),
            authorise=self.keys.authorise,
            sessions=KeptSessions(self.state, self.keys),
            clock=self.clock,
            expositions=self._expositions,
            notices=self.heard.notices,
            ready=self.heard.not_ready,
            config_faults=self.heard.config_faults,
            grade_finding=self._grade,
            teams=lambda: config().teams,
            routing=RoutingSeen(self.file, self.state, self.heard),
            maintenance=MaintenanceView(config, self.state),
            actions=ActionsElsewhere(self.state, config),
            replays=self.replays,
            allowed_hosts=LOOPBACK_HOSTS if guarded else None,
            version=version("tocsin"),
            base_url=self.settings.page_url,
        )
