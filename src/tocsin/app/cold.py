"""The cold process: stores, incidents, pages and their API. `python -m tocsin.app.start tocsin.app.cold --run DIR`."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tocsin.api.app import control_app
from tocsin.api.examples import examples_of
from tocsin.api.origin import LOOPBACK_HOSTS
from tocsin.api.ports import Deps
from tocsin.app.archive import archived
from tocsin.app.backtest.service import Backtests
from tocsin.app.charts import Charts
from tocsin.app.child import Child, die_with_any_thread, refuse
from tocsin.app.clock import clock_of
from tocsin.app.correlating import Correlating
from tocsin.app.deliveries import Deliveries
from tocsin.app.handover import evaluation_sender, label_sender, point_sender, sender
from tocsin.app.internal import Internal, fetch_exposition, fetch_notices
from tocsin.app.joining import Joining
from tocsin.app.judging.judge import Judge
from tocsin.app.keys import KeyRing
from tocsin.app.listener import Listener
from tocsin.app.logs import read_logs, redaction_key
from tocsin.app.machines import Machines
from tocsin.app.maintenance import MaintenanceView
from tocsin.app.meaning import Meaning
from tocsin.app.model_health.day_book import DayBook
from tocsin.app.model_health.experiments import Experiments
from tocsin.app.model_health.group_watch import GroupWatch
from tocsin.app.model_health.trial_watch import TrialWatch
from tocsin.app.model_health.view import ModelHealth
from tocsin.app.progress import Progress
from tocsin.app.reload import ConfigFile
from tocsin.app.remedy_world import RemedyWorld
from tocsin.app.replays.captures import Captures
from tocsin.app.replays.ports import Replays
from tocsin.app.responding import Responding
from tocsin.app.retraining import Retraining
from tocsin.app.review_digest import ReviewDigest
from tocsin.app.routing import RoutingView, rota_of, rules_of
from tocsin.app.selfcheck import SelfCheck, looks_of_cold
from tocsin.app.sessions import KeptSessions
from tocsin.app.settings import ServeSettings, environment
from tocsin.app.stores import open_telemetry, state_place, warn_of_move
from tocsin.app.stumbles import Stumbles
from tocsin.app.summaries import Summaries
from tocsin.app.telling import TELL_EVERY_S, Speech, Telling
from tocsin.app.views import CONFIG, StateView, TelemetryView
from tocsin.app.weighing import Weighing
from tocsin.app.writeback.board import Board
from tocsin.app.writeback.sending import Senders
from tocsin.app.writeback.text import exposition_of
from tocsin.correlate.reducer import Reducer
from tocsin.incident.policy import Policy
from tocsin.incident.severity import finding_severity, grader
from tocsin.model.errors import TocsinError
from tocsin.model.incident import IncidentState
from tocsin.model.series import MAIN_TENANT, Catalog
from tocsin.notify.base import Context
from tocsin.selfmon.logs import set_up
from tocsin.selfmon.metrics import exposition
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs, unseen
from tocsin.store.answer_rows import AnswerRows
from tocsin.store.backup import frozen
from tocsin.store.experiment_rows import ExperimentRows
from tocsin.store.genai import SpanMapper
from tocsin.store.group_rows import GroupRows
from tocsin.store.health_rows import HealthRows
from tocsin.store.history_rows import HistoryRows
from tocsin.store.latest_rows import LatestRows
from tocsin.store.lead import SENDING
from tocsin.store.llm_rows import LlmRows
from tocsin.store.model_rows import ModelRows
from tocsin.store.outcomes import Outcomes
from tocsin.store.toll_rows import TollRows
from tocsin.store.trace_rows import TraceRows
from tocsin.store.writer import StoreWriter

IDLE_S = 0.02
STORE_EVERY_S = 0.5
"""Small inserts cost as much as large ones: what is not urgent is gathered for so long."""
JOIN_EVERY_S = 1.0
ANSWERS_EVERY_S = 5.0
FIRST_JUDGED_S = 5.0
JUDGE_EVERY_S = 30.0
RESPOND_EVERY_S = 0.5
FULL_BATCH = 256
SEEDED = 1000
"""Open incidents whose findings the board of scores knows again after a restart."""


class Cold:
    """Everything the cold process holds together."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.clock = clock_of(settings)
        self.stop = threading.Event()
        self.stumbles = Stumbles(self.stop, self.clock)
        self._try = self.stumbles.attempt
        self.packs = load_packs()
        self.file = ConfigFile(settings, environment(), self.packs)
        self.began_with = config = self.file.start()
        self.telemetry = open_telemetry(config, environment(), settings.data_dir)
        place = state_place(config, environment(), settings.data_dir)
        self.state, self.lead = place.open(), place.lead(SENDING)
        self.keys = KeyRing(settings.keys_path, self.clock, open_access=settings.open_access)
        self.board = Board(config.scores)
        self.senders = Senders(config.scores.remote_write, self.board, self.clock, Context(settings.page_url))
        examples = partial(examples_of, TraceRows(self.telemetry.db))
        key = redaction_key(settings.data_dir)
        self.summaries = Summaries(self.packs, config, self.state, key, self.clock, examples)
        self.deliveries = Deliveries(
            config, self.state, self.clock, settings.page_url, self.senders.statuses, examples, self.summaries.of,
            Charts(self.telemetry, self.clock).of, term=self.lead.term,
        )  # fmt: skip
        self.writer = self._writer(config)
        self.joining = self._joining()
        self.judge = self._judge(config)
        points = point_sender(settings.hot_socket, settings.internal_secret)
        self.days = DayBook(HealthRows(self.telemetry.db), self.state, self.packs, config, self.clock, points)
        self.experiments = Experiments(ExperimentRows(self.telemetry.db))
        self.trials = TrialWatch(self.experiments, self.days.tenants, config, self.clock, points)
        groups = GroupRows(self.telemetry.db)
        self.groups = GroupWatch(groups, self.state, self.days.tenants, self.packs, config, self.clock, points)
        self.retraining = Retraining(self.state, self.telemetry, self.file, self.days.tenants, settings, self.clock)
        self.captures = Captures(settings.data_dir)
        self.meaning = Meaning(config, settings.config_path)
        labels = label_sender(settings.hot_socket, settings.internal_secret)
        backtests = Backtests(HistoryRows(self.telemetry.db), self.state, self.packs, labels)
        self.replays = Replays(
            settings, self.file, self.state, backtests, self.clock, env=environment(), packs=self.packs, send=points
        )
        self.correlating = self._correlating(config)
        self.routing = RoutingView(lambda: self.file.config, self.state, self.policy)
        self.maintenance = MaintenanceView(lambda: self.file.config, self.state)
        self.policy.maintain(self.maintenance.planned)
        self.correlating.recall(self.clock.now())
        pages, held = (lambda: self.file.config.context), self.maintenance.holding
        world = RemedyWorld(self.telemetry, self.state, self.clock, self.packs, pages, held)
        self.responding = Responding(self.state, world, self.clock, config)
        self._remember_config()
        looks = looks_of_cold(settings, self.telemetry, self.state, self.stumbles, self.deliveries.all)
        self.health = SelfCheck(looks, lambda: self.file.config.health_check_interval, self.stop)

    def _writer(self, config: Config) -> StoreWriter:
        catalog = Catalog()
        input_log, output_log = read_logs(self.settings.data_dir, catalog)
        latest = LatestRows(self.telemetry.db)
        self.machines = Machines(latest, self.packs, lambda: self.file.config.inventory, self.clock)
        self.mapper = SpanMapper(self.packs, config.llm.models)
        return StoreWriter(self.telemetry, input_log, output_log, catalog, self.mapper, self.clock)

    def _joining(self) -> Joining:
        outcomes, touched = Outcomes(self.telemetry.db), partial(self.writer.touched, "records")
        send = sender(self.settings.hot_socket, self.settings.internal_secret)
        return Joining(outcomes, self.state, touched, send, self.clock)

    def _judge(self, config: Config) -> Judge:
        send = evaluation_sender(self.settings.hot_socket, self.settings.internal_secret)
        rows, stored = AnswerRows(self.telemetry.db), partial(self.writer.touched, "spans")
        return Judge(config.llm.judge, rows, self.state, stored, send, self.clock)

    def _correlating(self, config: Config) -> Correlating:
        catalog = Catalog()
        input_log, output_log = read_logs(self.settings.data_dir, catalog)
        reducer = Reducer(config.engine_spec(self.packs), grader(config.loss), input_log)
        self.policy = Policy()
        self._rule(config)
        open_now = self.state.incidents(None, (IncidentState.OPEN, IncidentState.ACKNOWLEDGED), limit=SEEDED)
        self.board.seed([finding for incident in open_now for finding in incident.findings], catalog)
        self.weighing = Weighing(TollRows(self.telemetry.db, self.packs), config.loss, open_now)
        return Correlating(
            output_log, catalog, self.state, reducer, self.policy, self.board.hear, self.captures.keep, self.weighing
        )

    def _rule(self, config: Config) -> None:
        """Let a configuration say who is told what."""
        self.policy.adopt(
            rules_of(config),
            dry_run=config.dry_run,
            resend_ns=self.deliveries.resend_ns(),
            drift=config.drift,
            rota=rota_of(config),
        )

    def _remember_config(self) -> None:
        """Keep the text of what is in force, if it is another than before."""
        loaded = self.file.loaded
        if loaded is not None:
            body, by = loaded.text.encode(), Path(loaded.file).name
            self.state.add_spec(MAIN_TENANT, CONFIG, body, loaded.sha256, by=by, at=self.clock.now())

    def notices(self) -> Mapping[str, Sequence[str]]:
        """Caps on series that tenants have reached, as the hot process says."""
        return fetch_notices(self.settings.hot_socket, self.settings.internal_secret)

    def adopt(self, config: Config) -> None:
        """Put a configuration into force."""
        warn_of_move(self.began_with, config)
        self.correlating.adopt(config.engine_spec(self.packs).control())
        self.mapper.adopt(config.llm.models)
        self.judge.adopt(config.llm.judge)
        self._rule(config)
        self.weighing.adopt(config.loss)
        self.deliveries.adopt(config)
        self.summaries.adopt(config)
        self.meaning.adopt(config)
        self.board.adopt(config.scores)
        self.senders.adopt(config.scores.remote_write)
        self.days.adopt(config)
        self.groups.adopt(config)
        self.trials.adopt(config)
        self.responding.adopt(config)
        self._remember_config()

    def keep_storing(self) -> None:
        """The store's thread: sole writer of the telemetry store."""
        turn = 0
        while not self.stop.is_set():
            stored = self._try("store", self.writer.step)
            turn += 1
            if turn % 50 == 0 or not stored:
                self._try("progress", self._tell_progress)
            if stored < FULL_BATCH:
                self.stop.wait(STORE_EVERY_S)
        while self._try("store", self.writer.step):
            pass
        self._try("progress", self._tell_progress)

    def keep_correlating(self) -> None:
        """The reducer's thread."""
        while not self.stop.is_set():
            if self._try("correlate", self.correlating.step):
                self.deliveries.wake()
            else:
                self.stop.wait(IDLE_S)
        while self._try("correlate", self.correlating.step):
            pass

    def keep_judging_days(self) -> None:
        """The thread that judges the health of each day once it is over."""
        wait = FIRST_JUDGED_S
        digest = ReviewDigest(self.deps(), self.state, lambda: self.file.config, self.days.tenants, self.clock)
        while not self.stop.wait(wait):
            wait = JUDGE_EVERY_S
            if self._try("days", self.days.step):
                self.deliveries.wake()
            self._try("groups", self.groups.step)
            self._try("trials", self.trials.step)
            self._try("review", digest.step)
            self._try("retraining", self.retraining.step)

    def keep_responding(self) -> None:
        """The thread that carries actions: the only one that begins any."""
        while not self.stop.wait(RESPOND_EVERY_S):
            if self._try("respond", lambda: self.lead.held() and self.responding.step()):
                self.deliveries.wake()
        self.responding.close()

    def _tell_progress(self) -> int:
        progress = Progress(self.writer.offset("input"), min(self.writer.offset("output"), self.correlating.offset))
        if progress != getattr(self, "_told", None):
            progress.write(self.settings.data_dir)
            self._told = progress
        return 0

    def loops(self) -> dict[str, Callable[[], None]]:
        """What goes on until the stop, each in a thread of its own."""
        keep, said = self.stumbles.keep, Speech(self.deps(), self.notices, self.deliveries.known, self.senders.all)
        return {
            "store": self.keep_storing,
            "correlate": self.keep_correlating,
            "join": partial(keep, "join", self.joining.step, JOIN_EVERY_S),
            "days": self.keep_judging_days,
            "answers": partial(keep, "judge", self.judge.step, ANSWERS_EVERY_S),
            "respond": self.keep_responding,
            "health": self.health.run,
            "tell": partial(keep, "tell", Telling(self.state, said).step, TELL_EVERY_S),
        }

    def expositions(self) -> dict[str, str]:
        """Own metrics of both processes, for the status page."""
        hot = fetch_exposition(self.settings.hot_socket, self.settings.internal_secret)
        return {"hot": hot, "cold": exposition().decode()}

    def scores(self, tenant: str) -> str:
        """Scores of a tenant that are written back, as Prometheus text."""
        return exposition_of(self.board.chosen(tenant))

    def backup(self) -> Iterator[bytes]:
        """A consistent copy of everything, as a stream."""
        with frozen(self.settings.data_dir, self.telemetry, self.state) as files:
            yield from archived(files)

    def deps(self) -> Deps:
        """What the control API is built from."""
        guarded = self.settings.open_access and not self.settings.insecure
        return Deps(
            telemetry=TelemetryView(self.telemetry, self.state),
            state=StateView(self.state, self.correlating.act, self.correlating.confirm, self.correlating.regroup),
            traces=TraceRows(self.telemetry.db),
            calls=LlmRows(self.telemetry.db, self.packs, lambda: self.file.config.budgets),
            machines=self.machines.hosts,
            models=ModelHealth(ModelRows(self.telemetry.db), self.clock, policies=lambda: self.file.config.drift),
            days=self.days.days,
            groups=self.groups.shown,
            experiments=self.experiments,
            destinations=self.deliveries,
            summarise=self.summaries.whole,
            alike=self.meaning.groups,
            unseen=lambda: unseen(self.packs),
            authorise=self.keys.authorise,
            sessions=KeptSessions(self.state, self.keys),
            clock=self.clock,
            expositions=self.expositions,
            notices=lambda tenant: self.notices().get(tenant, []),
            ready=self.stumbles.notices,
            config_faults=lambda: [str(each) for each in self.file.problems if each.level == "error"],
            grade_finding=lambda finding: finding_severity(finding, self.file.config.severity),
            teams=lambda: self.file.config.teams,
            routing=self.routing,
            maintenance=self.maintenance,
            retraining=self.retraining,
            actions=self.responding,
            backup=self.backup,
            replays=self.replays,
            allowed_hosts=LOOPBACK_HOSTS if guarded else None,
            version=version("tocsin"),
            base_url=self.settings.page_url,
        )


async def _serve(cold: Cold, child: Child) -> None:
    settings = cold.settings
    app, health = control_app(cold.deps()), (lambda: cold.health.found)
    internal = Internal(app, settings.internal_secret, scores=cold.scores, health=health)
    listener = Listener(internal, uds=settings.cold_socket)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        loop.call_soon_threadsafe(ended.set)

    child.on_stop(stop)
    running = asyncio.create_task(listener.run())
    running_out = (cold.deliveries.run(loop), cold.senders.run(loop), cold.summaries.run())
    outgoing = [asyncio.create_task(each) for each in running_out]
    await listener.listening()
    child.ready()
    await ended.wait()
    cold.stop.set()
    app.state.places.end()
    listener.stop()
    await running
    for task in outgoing:
        task.cancel()
    await asyncio.gather(*outgoing, return_exceptions=True)


def main(argv: Sequence[str]) -> int:
    """Run until the supervisor says stop; gives the exit code."""
    child = Child.of(argv)
    set_up("cold")
    die_with_any_thread()
    try:
        cold = Cold(child.settings)
    except TocsinError as bad:
        return refuse(bad)
    threads = [threading.Thread(target=loop, name=name) for name, loop in cold.loops().items()]
    for thread in threads:
        thread.start()
    cold.file.watch(cold.adopt)
    signal.signal(signal.SIGHUP, lambda *_: cold.file.poke())
    try:
        asyncio.run(_serve(cold, child))
    finally:
        cold.file.close()
        cold.stop.set()
        for thread in threads:
            thread.join()
        cold.weighing.close()
        cold.telemetry.close()
        cold.lead.close()
        cold.state.close()
    return 0
