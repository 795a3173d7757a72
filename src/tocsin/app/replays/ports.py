"""`tocsin.api.replay_ports.Replays` over the stores and the file of configuration of the running server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from tocsin.app.backtest.service import Backtests
from tocsin.app.handover import Point, SendPoints
from tocsin.app.models import model_problems
from tocsin.app.reload import ConfigFile
from tocsin.app.replays.bundle import export_incident
from tocsin.app.settings import ServeSettings
from tocsin.app.views import CONFIG
from tocsin.model.clock import Clock
from tocsin.model.codec import Json
from tocsin.model.decision import Verdict
from tocsin.model.errors import BadConfig, BadInput
from tocsin.model.incident import Incident
from tocsin.model.series import MAIN_TENANT
from tocsin.spec.config import Config
from tocsin.spec.load import parse_config
from tocsin.spec.pack import PackSpec
from tocsin.store.state import StateStore

ALERTS: Final = "alerts"
"""Kind, in the state store, of what others alerted on."""
KEPT: Final = 100
"""Configurations that a rollback looks back over."""


class Replays:
    """Replays of one server, and its file of configuration."""

    def __init__(
        self,
        settings: ServeSettings,
        file: ConfigFile,
        state: StateStore,
        backtests: Backtests,
        clock: Clock,
        *,
        env: Mapping[str, str],
        packs: Sequence[PackSpec],
        send: SendPoints,
    ) -> None:
        self._settings, self._file, self._state, self._backtests = settings, file, state, backtests
        self._clock, self._env, self._packs, self._send = clock, env, packs, send

    def bundle(self, incident: Incident) -> Iterator[bytes]:
        """The bundle that gives the verdict of an incident again, as a tar file."""
        return export_incident(self._settings.data_dir, incident)

    def plan(self, tenant: str, text: str, days: float) -> Json:
        """What a text of configuration would have come to in the last days."""
        return self._backtests.plan(self._file.config, self._read(text), tenant, self._clock.now(), days)

    def drill(self, tenant: str, days: float, **chosen: object) -> Json:
        """How many planted anomalies the configuration in force finds, and after how long; also kept as points."""
        found = self._backtests.drill(self._file.config, tenant, self._clock.now(), days, **chosen)
        now = self._clock.now()
        points = [
            Point(f"tocsin.drill.{name}", unit, {"monitor": monitor}, value, now)
            for monitor, told in {"(all)": found, **found["by_monitor"]}.items()
            for name, unit, value in (
                ("recall", "1", told["recall"]),
                ("delay", "s", told["delay_s"]["median"] if told["delay_s"] else None),
            )
            if value is not None
        ]
        self._send(tenant, points)
        return found

    def preview(self, incident: Incident, verdict: Verdict, days: float) -> Json:
        """What a label would change in the last days."""
        return self._backtests.label(incident, verdict, self._file.config, self._clock.now(), days)

    def label(self, incident: Incident, verdict: Verdict, *, by: str) -> Json:
        """Put a label into force."""
        return self._backtests.put(incident, verdict, self._file.config, by=by, at=self._clock.now())

    def unlabel(self, incident_id: str, *, by: str) -> bool:
        """Take a label's effect back; False: it has none."""
        return self._backtests.take_back(incident_id, by=by, at=self._clock.now())

    def labels(self) -> Sequence[Json]:
        """Labels in force."""
        return self._backtests.labels()

    def put_alerts(self, tenant: str, alerts: Sequence[Json], *, by: str) -> None:
        """Keep what others alerted on, in place of what was kept before."""
        body = json.dumps(list(alerts)).encode()
        self._state.add_spec(tenant, ALERTS, body, hashlib.sha256(body).hexdigest(), by=by, at=self._clock.now())

    def alerts(self, tenant: str) -> Sequence[Json]:
        """What others alerted on, as it was kept."""
        latest = self._state.specs(tenant, ALERTS, 1)
        found: list[Json] = json.loads(latest[0].body) if latest else []
        return found

    def dry_run(self) -> bool:
        """Whether messages are recorded and not sent."""
        return self._file.config.dry_run

    def apply(self, text: str) -> str:
        """Put a text of configuration into force by way of the server's file; gives its digest.

        Raises
        ------
        BadConfig
            It can't take effect, or the server has no file of configuration.
        """
        self._read(text)
        path = self._path()
        aside = path.with_name(f".{path.name}.new")
        aside.unlink(missing_ok=True)
        try:
            mode = path.stat().st_mode & 0o777
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            found = model_problems(aside, self._env, self._packs)
            bad = [str(each) for each in found if each.level == "error"]
            if bad:
                raise BadConfig("; ".join(bad))
            aside.replace(path)
        except OSError as error:
            raise BadConfig(f"can't write {path}: {(error.strerror or str(error)).lower()}") from None
        finally:
            aside.unlink(missing_ok=True)
        self._file.poke()
        return hashlib.sha256(text.encode()).hexdigest()

    def before(self) -> str:
        """The text of the configuration that was in force before the one that is.

        Raises
        ------
        BadInput
            There was none.
        """
        held = self._state.specs(MAIN_TENANT, CONFIG, KEPT)
        now = self._file.loaded.sha256 if self._file.loaded is not None else ""
        for newer, older in pairwise(held):
            if newer.sha256 == now and older.sha256 != now:
                return older.body.decode()
        raise BadInput("no other configuration was in force before this one; nothing is changed")

    def _path(self) -> Path:
        if self._settings.config_path is None:
            raise BadConfig("this server has no file of configuration; start it with `tocsin serve --config FILE`")
        return self._settings.config_path

    def _read(self, text: str) -> Config:
        return parse_config(text, "the configuration", self._env, self._packs).config
