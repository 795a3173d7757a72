"""The stores of a stopped server, read without a server and without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin.api.examples import examples_of
from tocsin.api.incidents import states_of
from tocsin.api.present import clean, summary
from tocsin.api.signals import where_of
from tocsin.api.times import parse_time_ns
from tocsin.app.backtest.service import Backtests
from tocsin.app.datadir import stopped
from tocsin.app.logs import read_logs
from tocsin.app.replays.bundle import export_incident
from tocsin.app.settings import environment
from tocsin.app.views import TelemetryView
from tocsin.correlate.summary import Summariser
from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.series import Catalog
from tocsin.model.summary import summary_to_json
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.copied import copied
from tocsin.store.export import Form
from tocsin.store.history_rows import HistoryRows
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.trace_rows import TraceRows

FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Offline:
    """What a stopped server had stored; `unstored` records of its input log had not reached its store."""

    telemetry: TelemetryStore
    state: StateStore
    unstored: int

    def export(self, kind: str, tenant: str, form: Form, **chosen: object) -> Iterator[bytes]:
        """Everything stored of one kind, in chunks; `signal`, `where`, `start` and `end` as at the command line.

        Raises
        ------
        BadInput
            The kind is unknown, or something of what was chosen makes no sense.
        """
        start, end = str(chosen.get("start") or ""), str(chosen.get("end") or "")
        first = parse_time_ns(start) if start else 0
        last = parse_time_ns(end) if end else FAR
        if first >= last:
            raise BadInput("the span of time is empty: `from` must be before `to`")
        pairs = chosen.get("where")
        where = where_of(list(pairs) if isinstance(pairs, list) else None)
        view = TelemetryView(self.telemetry, self.state)
        signal = str(chosen.get("signal") or "")
        return view.export(kind, tenant, signal=signal, where=where, start=first, end=last, form=form)

    def incidents(self, tenant: str, *, state: str, since: str, limit: int) -> dict[str, Any]:
        """What `/api/incidents` would have answered.

        Raises
        ------
        BadInput
            A state or the time makes no sense.
        """
        start = parse_time_ns(since) if since else 0
        found = self.state.incidents(tenant, states_of(state), start, limit)
        return {"incidents": [clean(summary(each)) for each in found]}

    def explained(self, tenant: str, incident_id: str) -> dict[str, Any]:
        """What `/api/incidents/ID/summary` would have answered, without a language model.

        Raises
        ------
        BadInput
            There is no such incident.
        """
        found = self.state.incident(tenant, incident_id)
        if found is None:
            raise BadInput(f"there is no incident {incident_id[:60]!r} here; list them with `tocsin incidents`")
        traces = examples_of(TraceRows(self.telemetry.db), found)
        said = Summariser(load_packs()).of(found, traces)
        return {"id": found.id, "title": found.title, **summary_to_json(said)}


@contextmanager
def exported_incident(data_dir: Path, incident_id: str, tenant: str) -> Iterator[Iterator[bytes]]:
    """The bundle of an incident of a stopped server, in chunks.

    Raises
    ------
    BadInput
        There is no such directory or incident, or what it needs is gone.
    BadConfig
        A server uses it.
    """
    with offline(data_dir) as found:
        incident = found.state.incident(tenant, incident_id)
        if incident is None:
            raise BadInput(f"there is no incident {incident_id[:60]!r} in {data_dir}; `tocsin incidents` lists them")
        yield export_incident(data_dir, incident)


def planned(data_dir: Path, text: str, against: str, tenant: str, days: float) -> Json:
    """What a configuration would have come to in the last days that a stopped server stored.

    Raises
    ------
    BadInput
        There is no such directory, or a configuration can't take effect.
    """
    packs = load_packs()
    after, before = (parse_config(each, "the configuration", environment(), packs).config for each in (text, against))
    with offline(data_dir) as found:
        rows = HistoryRows(found.telemetry.db)
        return Backtests(rows, found.state, packs).plan(before, after, tenant, rows.last(tenant), days)


@contextmanager
def offline(data_dir: Path) -> Iterator[Offline]:
    """Open the data directory of a stopped server to read it.

    Raises
    ------
    BadInput
        There is no such directory.
    BadConfig
        A server uses it.
    """
    with stopped(data_dir), copied(data_dir) as copy:
        telemetry = TelemetryStore(copy / "store", read_only=True)
        state = StateStore(f"sqlite:///{copy / 'state.db'}")
        try:
            yield Offline(telemetry, state, _unstored(data_dir, telemetry))
        finally:
            telemetry.close()
            state.close()


def _unstored(data_dir: Path, telemetry: TelemetryStore) -> int:
    log, _ = read_logs(data_dir, Catalog())
    return max(0, log.end() - max(telemetry.applied("input")[0], log.first()))
