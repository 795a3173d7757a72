"""Which models of monitors are due to be trained again, since when and why; put off, and taken up again, by people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from tocsin.api.retraining_ports import ModelStanding
from tocsin.app.models import KeptModels
from tocsin.app.settings import ServeSettings
from tocsin.engine.match import Matcher
from tocsin.engine.own_signals import FOREIGN
from tocsin.incident.retraining import standing
from tocsin.model.clock import Clock
from tocsin.model.series import MAIN_TENANT, Series
from tocsin.selfmon.metrics import gauge
from tocsin.spec.load import Loaded
from tocsin.spec.monitor import MonitorSpec
from tocsin.store.audit import AuditEntry
from tocsin.store.queries import Curve
from tocsin.store.state import StateStore

IN_FORCE: Final = "model_in_force"
PUT_OFF: Final = "put_off_retraining"
TAKEN_UP: Final = "take_up_retraining"
DAYS: Final = 60
"""How far back what models are given is looked at."""
_DAY_NS: Final = 86_400 * 10**9
_DUE = gauge(
    "tocsin_incident_retraining_due_models",
    "1 while the model of a monitor is due to be trained again, by verdicts of any tenant or by what it is given",
    ["monitor"],
)
_log = structlog.get_logger(__name__)


class Lines(Protocol):
    """Stored points, as this needs them."""

    def points(
        self, tenant: str, signal: str, where: Mapping[str, str], start: int, end: int, max_points: int
    ) -> Sequence[Curve]:
        """Values of matching series in [start, end) ns."""


class InForce(Protocol):
    """What says which configuration is in force; None without a file."""

    @property
    def loaded(self) -> Loaded | None:
        """The configuration with its text and file."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The model that a monitor has in force."""

    monitor: MonitorSpec
    path: str
    sha256: str


class Retraining:
    """Models of monitors, by the configuration in force.

    Parameters
    ----------
    file : what is in force
    tenants : whose verdicts count
    settings : where the models in force are kept
    """

    def __init__(
        self,
        state: StateStore,
        points: Lines,
        file: InForce,
        tenants: Callable[[], Sequence[str]],
        settings: ServeSettings,
        clock: Clock,
    ) -> None:
        self._state = state
        self._points = points
        self._file = file
        self._kept = KeptModels(settings.data_dir / "models")
        self._tenants = tenants
        self._clock = clock
        self._due: dict[str, bool] = {}

    def step(self) -> int:
        """Write down models that are newly in force, and show which are due; how many came into force."""
        known = {each.subject: json.loads(each.detail)["sha256"] for each in self._state.acted([IN_FORCE])}
        fresh = [each for each in self._versions() if known.get(each.monitor.name) != each.sha256]
        loaded, now = self._file.loaded, self._clock.now()
        for version in fresh:
            by = Path(loaded.file).name if loaded else ""
            detail = {"sha256": version.sha256, "path": version.path}
            self._state.audit(MAIN_TENANT, by, IN_FORCE, version.monitor.name, detail, now)
        rows = [row for tenant in {MAIN_TENANT, *self._tenants()} for row in self.models(tenant)]
        self._show(rows)
        return len(fresh)

    def models(self, tenant: str) -> list[ModelStanding]:
        """Each monitor that a model drives, with what is held against that model by a tenant."""
        entries = self._state.acted([IN_FORCE, PUT_OFF, TAKEN_UP])
        return sorted(
            (row for version in self._versions() for row in self._stand(tenant, version, entries)),
            key=lambda each: (each.due_at is None, each.monitor),
        )

    def put_off(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        """Let counting begin anew for a monitor by a person's word; False: no model drives it."""
        return self._decide(tenant, monitor, PUT_OFF, by, at)

    def take_up(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        """Take back that it was put off; False: no model drives this monitor."""
        return self._decide(tenant, monitor, TAKEN_UP, by, at)

    def _decide(self, tenant: str, monitor: str, action: str, by: str, at: int) -> bool:
        if all(each.monitor.name != monitor for each in self._versions()):
            return False
        self._state.audit(tenant, by, action, monitor, {}, at)
        return True

    def _versions(self) -> Iterator[_Version]:
        loaded = self._file.loaded
        if loaded is None:
            return
        base = Path(loaded.file).absolute().parent
        for monitor in loaded.config.monitors:
            onnx = monitor.detect.onnx
            sha256 = "" if onnx is None else self._kept.digest(str(base / onnx.path))
            if onnx is not None and sha256:
                yield _Version(monitor, onnx.path, sha256)

    def _stand(self, tenant: str, version: _Version, entries: Sequence[AuditEntry]) -> Iterator[ModelStanding]:
        name = version.monitor.name
        mine = [each for each in entries if each.subject == name]
        versions = [each for each in mine if each.action == IN_FORCE]
        if not versions or json.loads(versions[-1].detail)["sha256"] != version.sha256:
            return  # written down by the next step
        began = versions[-1].time
        decided = [each for each in mine if each.action != IN_FORCE and each.tenant == tenant and each.time >= began]
        off = decided[-1] if decided and decided[-1].action == PUT_OFF else None
        since = began if off is None else off.time
        matcher = Matcher([version.monitor])

        def watched(series: Series) -> bool:
            return bool(matcher.of(series))

        judged = self._state.judged(tenant, since)
        found = standing(name, watched, judged, self._foreign(tenant, name), since)
        yield ModelStanding(
            name, version.path, version.sha256, began, found.false.wrong, found.false.of, found.missed.wrong,
            found.missed.of, found.foreign, found.due_at, [(each.at, each.text) for each in found.reasons()],
            None if off is None else off.time, "" if off is None else off.actor,
        )  # fmt: skip

    def _foreign(self, tenant: str, monitor: str) -> list[tuple[int, float]]:
        """By day the share of a monitor's series that its model was not made for; known to the server's own tenant."""
        if tenant != MAIN_TENANT:
            return []
        now = self._clock.now()
        lines = self._points.points(tenant, FOREIGN, {"monitor": monitor}, now - DAYS * _DAY_NS, now + 1, 24 * DAYS)
        found: dict[int, float] = {}
        for line in lines:
            for at, value in zip(line.time.tolist(), line.mean.tolist(), strict=True):
                found[at] = max(value, found.get(at, 0.0))
        return sorted(found.items())

    def _show(self, rows: Sequence[ModelStanding]) -> None:
        due: dict[str, bool] = {}
        for row in rows:
            due[row.monitor] = due.get(row.monitor, False) or row.due_at is not None
            if row.due_at is not None and not self._due.get(row.monitor):
                reasons = "; ".join(text for _, text in row.reasons)
                _log.warning("a model is due to be trained again", monitor=row.monitor, reasons=reasons)
        for gone in self._due.keys() - due.keys():
            _DUE.remove(gone)
        for name, is_due in due.items():
            _DUE.labels(name).set(is_due)
        self._due = due
