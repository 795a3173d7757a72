"""Plans, labels and drills over the stores of one server, running or stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tocsin.app.backtest.label import Asks, as_asks, as_list, asked_by, prepare_label
from tocsin.app.backtest.plan import prepare, prepare_drill
from tocsin.app.backtest.process import judged, workplace
from tocsin.model.codec import Json
from tocsin.model.decision import Verdict
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.model.series import MAIN_TENANT
from tocsin.model.times import time_to_json
from tocsin.spec.config import Config
from tocsin.spec.pack import PackSpec
from tocsin.store.history_rows import HistoryRows, Stretch
from tocsin.store.state import StateStore

DAY_NS: Final = 86_400 * 10**9
LABELS: Final = "labels"
"""Kind, in the state store, of the lists of labels that were in force."""
RECORDED: Final = 10_000
Send = Callable[[Sequence[Sequence[Any]]], None]
"""Hands what labels ask for to the engine; returns when it is durable."""


class Backtests:
    """What would have been; one piece of work at a time."""

    def __init__(
        self, rows: HistoryRows, state: StateStore, packs: Sequence[PackSpec], send: Send | None = None
    ) -> None:
        self._rows, self._state, self._packs, self._send = rows, state, packs, send

    def plan(self, before: Config, after: Config, tenant: str, now: int, days: float) -> Json:
        """What a change of configuration would have come to in the last days."""
        stretch = _last(tenant, now, days)
        with workplace() as directory:
            recorded = self._state.incidents(tenant, limit=RECORDED)
            planned = prepare(self._rows, stretch, before, after, self._packs, recorded, directory)
            found = judged(directory) if planned.work is not None and planned.work.judges else None
        return {**planned.to_json(found), "days": days}

    def drill(self, config: Config, tenant: str, now: int, days: float, **chosen: object) -> Json:
        """How many planted anomalies are found in shadow copies of the last days, and after how long.

        Raises
        ------
        BadInput
            Nothing is stored that could be copied.
        """
        monitors = chosen.pop("monitors", ())
        assert isinstance(monitors, list | tuple)
        with workplace() as directory:
            if not prepare_drill(self._rows, _last(tenant, now, days), config, self._packs, monitors, directory):
                raise BadInput("no monitor judged anything in this time that could be copied; take more days")
            return {**judged(directory, "drill", chosen), "days": days}

    def label(self, incident: Incident, verdict: Verdict, config: Config, now: int, days: float) -> Json:
        """What a label would change in the last days, before it takes effect."""
        before = self.asks()
        after, said = self._asked(incident, verdict, before, config)
        with workplace() as directory:
            work = prepare_label(
                self._rows, _last(incident.tenant, now, days), config, self._packs, (before, after), directory
            )
            found = judged(directory) if work is not None else None
        if found is not None and not found["rows"]:
            found = None  # its windows are older than what is kept
        return {
            "incident": incident.id,
            "verdict": verdict,
            "days": days,
            "changes": before != after,
            "series": [each.to_json() for each in said],
            "difference": found,
        }

    def put(self, incident: Incident, verdict: Verdict, config: Config, *, by: str, at: int) -> Json:
        """Put a label into force; the same incident's earlier one is taken back."""
        kept = [each for each in self.labels() if each["incident"] != incident.id]
        asks = _effective(kept)
        after, said = self._asked(incident, verdict, asks, config)
        keys = sorted(key for key in {*asks, *after} if asks.get(key) != after.get(key))
        changed = [[monitor, ref.hex(), after.get((monitor, ref))] for monitor, ref in keys]
        label = {"incident": incident.id, "verdict": verdict, "by": by, "at": time_to_json(at), "asks": changed}
        if changed or len(kept) < len(self.labels()):
            self._store([*kept, label] if changed else kept, by=by, at=at)
        return {**label, "series": [each.to_json() for each in said]}

    def take_back(self, incident_id: str, *, by: str, at: int) -> bool:
        """Take a label's effect back; False: it has none."""
        held = self.labels()
        kept = [each for each in held if each["incident"] != incident_id]
        if len(kept) == len(held):
            return False
        self._store(kept, by=by, at=at)
        return True

    def labels(self) -> list[Json]:
        """Labels in force, in the order in which they were put there."""
        latest = self._state.specs(MAIN_TENANT, LABELS, 1)
        found: list[Json] = json.loads(latest[0].body)["labels"] if latest else []
        return found

    def asks(self) -> Asks:
        """What the labels in force ask for."""
        return _effective(self.labels())

    def _asked(self, incident: Incident, verdict: Verdict, asks: Asks, config: Config) -> tuple[Asks, list[Any]]:
        monitors = {each.name: each for each in config.engine_spec(self._packs).all_monitors()}
        others = (each for each in self._state.incidents(incident.tenant, limit=RECORDED) if each.id != incident.id)
        real = [each for each in others if self._said(each) == "real_problem"]
        return asked_by(self._rows, incident, verdict, asks, real, monitors)

    def _said(self, incident: Incident) -> str:
        said = self._state.feedback(incident.tenant, incident.id)
        return said[-1].verdict if said else ""

    def _store(self, labels: Sequence[Json], *, by: str, at: int) -> None:
        if self._send is None:
            raise BadInput("labels take effect in a running server; name it with --url")
        self._send(as_list(_effective(labels)))
        body = json.dumps({"labels": list(labels)}).encode()
        self._state.add_spec(MAIN_TENANT, LABELS, body, hashlib.sha256(body).hexdigest(), by=by, at=at)


def _effective(labels: Sequence[Mapping[str, Any]]) -> Asks:
    found: Asks = {}
    for label in labels:
        for monitor, ref, level in label["asks"]:
            if level is None:
                found.pop((monitor, bytes.fromhex(ref)), None)
            else:
                found.update(as_asks([[monitor, ref, level]]))
    return found


def _last(tenant: str, now: int, days: float) -> Stretch:
    return Stretch(tenant, now - int(days * DAY_NS), now)
